//go:build unix

package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/pgstore"
	"mnemo/memory/storetest/pgserver"
	"mnemo/memory/storetest/redisserver"
)

const (
	// private is in everything that is said in a session, and in its name.
	private = "5ecret"
	// forgotten is that session, kept another one of the same client.
	forgotten, kept = "Id-5ecret", "kept"
	strangerKey     = "sk-stranger"
)

// A vault is a backend whose content can be looked at without mnemo.
type vault struct {
	backend
	content func(t *testing.T) string
}

func eachVault(t *testing.T, test func(t *testing.T, v vault)) {
	t.Run("SQLite", func(t *testing.T) {
		b := sqliteBackend(t)
		dir := filepath.Dir(strings.TrimPrefix(b.url, "sqlite:"))
		test(t, vault{b, func(t *testing.T) string { return filesIn(t, dir) }})
	})
	t.Run("Redis", func(t *testing.T) {
		server := redisserver.Start(t)
		test(t, vault{redisBackend(server), func(t *testing.T) string { return redisContent(t, server.Addr) }})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		d := pgserver.Fresh(t)
		b := backend{url: d.URL() + "sslmode=disable", open: func() (memory.Store, error) {
			return pgstore.Open(context.Background(), pgstore.Options{URL: d.URL()})
		}}
		test(t, vault{b, func(t *testing.T) string { return postgresContent(t, d) }})
	})
}

func TestMnemo_restores_a_deleted_session_byte_for_byte_from_its_export(t *testing.T) {
	eachVault(t, func(t *testing.T, v vault) {
		m := v.serve(t)
		confide(t, m)
		exports := map[string]string{"json": "", "jsonl": ""}
		for format := range exports {
			exports[format] = m.manages(t, "export", forgotten, "--format", format)
		}
		for _, part := range []string{`"superseded_by"`, `"tool_call_id"`, `"summary":{`, `\"guide\"`} {
			if !strings.Contains(exports["json"], part) {
				t.Errorf("the session lacks %s: %s", part, exports["json"])
			}
		}
		for format, document := range exports {
			name := filepath.Join(t.TempDir(), "session."+format)
			saveFile(t, name, document)
			m.manages(t, "delete", forgotten, "--yes")
			if _, _, err := m.sessions(t, clientKey, "show", forgotten); err == nil {
				t.Error("the deleted session can be seen")
			}
			m.manages(t, "import", name)
			for again, want := range exports {
				if got := m.manages(t, "export", forgotten, "--format", again); got != want {
					t.Errorf("from %s, the %s becomes\n%s\nwant\n%s", format, again, got, want)
				}
			}
		}
		// It goes on as if nothing had been.
		a := m.says(t, turn{session: forgotten, text: "Go on."}, heard("Go on."))
		if a.header.Get("X-Memory-Summary") != "used" || number(t, a, "X-Memory-Turns") == 0 {
			t.Errorf("it goes on with %v", a.header)
		}
	})
}

func TestMnemo_leaves_nothing_of_a_deleted_session(t *testing.T) {
	eachVault(t, func(t *testing.T, v vault) {
		m := v.serve(t)
		secrets := confide(t, m)
		m.says(t, turn{session: kept, text: "Keep this."}, heard("Keep this."))
		before := v.content(t)
		for _, secret := range append(secrets, "Keep this.") {
			if !strings.Contains(before, secret) {
				t.Errorf("%s cannot be found in the store: the test cannot tell", secret)
			}
		}
		m.manages(t, "delete", forgotten, "--yes")
		m.terminate(t)
		m.wait(t)
		after := v.content(t)
		if at := strings.Index(after, private); at >= 0 {
			t.Errorf("the store still holds %q", after[max(0, at-200):min(len(after), at+200)])
		}
		if !strings.Contains(after, "Keep this.") {
			t.Error("the other session is gone too")
		}
		again := v.serve(t)
		if list := again.manages(t, "list", "--json"); gjson.Get(list, "#.id").Raw != `["`+kept+`"]` {
			t.Errorf("listed are %s", list)
		}
		a := again.says(t, turn{session: forgotten, text: "What is my name?"}, "I do not know your name.")
		if number(t, a, "X-Memory-Turns") != 0 {
			t.Errorf("a new session of the name begins with %v", a.header)
		}
	})
}

// The store is down, turns are in files, and the session is to be deleted.
func TestMnemo_leaves_nothing_of_a_deleted_session_in_the_spool(t *testing.T) {
	server, spool := redisserver.Start(t), t.TempDir()
	b := redisBackend(server)
	o := b.setup(newFakeModel(t))
	o.file = fmt.Sprintf("store: {load_timeout: 10s, queue: {turns: 8, spool: %q}}\n", spool)
	m := serve(t, o)
	for range 2 {
		m.says(t, turn{session: forgotten, text: "Question " + private}, heard("Question "+private))
	}
	server.Kill()
	for i := range 30 {
		session, text := forgotten, "Question "+private
		if i%2 == 1 {
			session, text = kept, "Keep this."
		}
		m.says(t, turn{session: session, text: text}, heard(text))
	}
	if !strings.Contains(filesIn(t, spool), private) {
		t.Fatal("nothing is in the spool")
	}
	if status, body := m.manage(t, clientKey, http.MethodDelete, forgotten, ""); status != http.StatusServiceUnavailable {
		t.Errorf("without its store the session is deleted with %d %s", status, body)
	}
	server.Restart(t)
	m.deletes(t, forgotten) // while the queued turns are being written
	wantNone(t, "the spool: "+filesIn(t, spool), private)
	a := m.says(t, turn{session: kept, text: "Keep this."}, heard("Keep this."))
	if got := a.header.Get("X-Memory-Turns"); got != "15" {
		t.Errorf("the other session has %s turns", got)
	}
	m.terminate(t)
	m.wait(t)
	wantNone(t, "the spool: "+filesIn(t, spool)+redisContent(t, server.Addr), private)
}

func TestMnemo_shows_nobody_elses_sessions(t *testing.T) {
	m := serve(t, setup{args: []string{"--upstream", newFakeModel(t).url}})
	m.says(t, turn{session: forgotten, text: "Question " + private}, heard("Question "+private))
	document := m.manages(t, "export", forgotten)
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, ""}, {http.MethodGet, "/messages"}, {http.MethodGet, "/messages?superseded=true"}, {http.MethodGet, "/export"},
		{http.MethodGet, "/export?format=md"}, {http.MethodPost, "/prompt"}, {http.MethodPost, "/rebuild"}, {http.MethodDelete, ""},
	} {
		const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello."}]}`
		status, theirs := m.manage(t, strangerKey, c.method, forgotten+c.path, body)
		unknown, nobodys := m.manage(t, strangerKey, c.method, "unknown"+c.path, body)
		if status != http.StatusNotFound || unknown != status || theirs != nobodys {
			t.Errorf("%s %s: %d %s; of a session that is not: %d %s", c.method, c.path, status, theirs, unknown, nobodys)
		}
		if status, said := m.manage(t, "", c.method, forgotten+c.path, body); status != http.StatusUnauthorized || strings.Contains(said, private) {
			t.Errorf("%s %s without a key: %d %s", c.method, c.path, status, said)
		}
	}
	for _, path := range []string{"", "?search=" + private, "?limit=100&search=Question"} {
		if status, list := m.manage(t, strangerKey, http.MethodGet, path, ""); status != http.StatusOK || gjson.Get(list, "sessions.#").Int() != 0 {
			t.Errorf("%q lists %d %s", path, status, list)
		}
	}
	for _, path := range []string{"?all=true", "?tenant=" + sessionKey("").Tenant, forgotten + "?tenant=" + sessionKey("").Tenant} {
		if status, said := m.manage(t, strangerKey, http.MethodGet, path, ""); status != http.StatusForbidden || strings.Contains(said, "Question") {
			t.Errorf("%q is answered with %d %s", path, status, said)
		}
	}
	if status, said := m.manage(t, strangerKey, http.MethodPost, "import?id="+forgotten, strings.ReplaceAll(document, "Question", "Forged")); status != http.StatusCreated {
		t.Errorf("a session of the same name cannot be made: %d %s", status, said)
	}
	if now := m.manages(t, "export", forgotten); now != document {
		t.Errorf("the session has become %s", now)
	}
}

// serve starts a mnemo with summaries and a persona before a scribe.
func (v vault) serve(t *testing.T) *mnemo {
	t.Helper()
	up := newScribe(t, func(w http.ResponseWriter, _ *http.Request, shown string) {
		var said []string
		for word := range strings.FieldsSeq(shown) {
			if strings.Contains(word, private) {
				said = append(said, word)
			}
		}
		writeSummary(w, "Summary-"+private+": "+strings.Join(said, " "))
	})
	o := up.setup(v.backend, 400, 200, "")
	o.file += "personas: {guide: {prompt: \"You guide {who}.\"}}\n"
	return serve(t, o)
}

// confide makes a session that has everything a session can have, until it has a
// summary, and returns what is in it.
func confide(t *testing.T, m *mnemo) (secrets []string) {
	t.Helper()
	pending := false
	say := func(what string, messages ...string) (reply string) {
		a, err := m.chat(t.Context(), forgotten, `{"model":"gpt-4o","messages":[`+strings.Join(messages, ",")+`]}`, http.Header{
			"X-Persona": {"guide"}, "X-Persona-Vars": {"who=Who-" + private},
		})
		if err != nil || a.status != http.StatusOK || a.header.Get("X-Memory-Status") != "ok" {
			t.Fatalf("%s is answered with %d %s %v, %v", what, a.status, a.body, a.header, err)
		}
		pending = a.header.Get("X-Memory-Summary") == "pending"
		return gjson.Get(a.body, "choices.0.message").Raw
	}
	user := func(text string) string { return message("user", text+"-"+private) }
	first := say("a question", message("system", "System-"+private), user("First"))
	say("a second one", user("Second"))
	say("an edit", user("First"), first, user("Edited"))
	say("the same again, for another answer", user("First"), first, user("Edited"))
	say("a question for a tool", message("user", lookUp+": remark qaa"))
	say("what the tool says", `{"role":"tool","tool_call_id":"call_qaa","content":"Result-`+private+`"}`)
	say("Japanese", message("user", "京都でお寺を三つ見たい"))
	for i := 0; !pending; i++ {
		if i == 100 {
			t.Fatal("no summary is ever due")
		}
		say("something long", user(strings.Repeat("we talk about rivers and about clouds ", 4)+fmt.Sprint(i)))
	}
	m.log.wait(t, `"reason":"done"`)
	for _, name := range []string{"Who", "System", "First", "Second", "Edited", "Result", "Summary", "Id"} {
		secrets = append(secrets, name+"-"+private)
	}
	return append(secrets, "call_qaa")
}

// sessions runs mnemo sessions for somebody.
func (m *mnemo) sessions(t *testing.T, key string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	l := commandLine{environ: []string{serverVariable + "=" + m.url, keyVariable + "=" + key}}
	return l.run(t.Context(), t, append([]string{"sessions"}, args...)...)
}

// manages is sessions for a command of clientKey's that must succeed.
func (m *mnemo) manages(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := m.sessions(t, clientKey, args...)
	if err != nil {
		t.Fatalf("sessions %q: %v, %s", args, err, errs)
	}
	return out
}

// deletes deletes a session as soon as the store lets it.
func (m *mnemo) deletes(t *testing.T, session string) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		status, said := m.manage(t, clientKey, http.MethodDelete, session, "")
		if status == http.StatusNoContent {
			return
		}
		if status != http.StatusServiceUnavailable || time.Now().After(end) {
			t.Fatalf("%s is deleted with %d %s", session, status, said)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// filesIn is all that a directory's files hold.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		all.WriteString(path + "\n" + string(text) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// redisContent is every key of a Redis with its value.
func redisContent(t *testing.T, addr string) string {
	t.Helper()
	ctx, client := t.Context(), redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer client.Close()
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, key := range keys {
		kind, err := client.Type(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		read := map[string][]any{
			"string": {"GET", key}, "hash": {"HGETALL", key}, "list": {"LRANGE", key, 0, -1},
			"set": {"SMEMBERS", key}, "zset": {"ZRANGE", key, 0, -1, "WITHSCORES"}, "stream": {"XRANGE", key, "-", "+"},
		}[kind]
		value, err := client.Do(ctx, read...).Result()
		if err != nil {
			t.Fatalf("%s, a %s: %v", key, kind, err)
		}
		fmt.Fprintln(&all, key, value)
	}
	return all.String()
}

// postgresContent is every row of every table of a database.
func postgresContent(t *testing.T, d pgserver.Database) string {
	t.Helper()
	do := func(statements string) string {
		said, err := d.Do(t.Context(), statements)
		if err != nil {
			t.Fatalf("%s: %v", statements, err)
		}
		return said
	}
	tables := do(`SELECT string_agg(format('%I.%I', table_schema, table_name), ' ') FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	var all strings.Builder
	for table := range strings.FieldsSeq(tables) {
		all.WriteString(do("SET bytea_output = 'escape'; SELECT coalesce(string_agg(row::text, E'\\n'), '') FROM " + table + " AS row"))
	}
	return all.String()
}
