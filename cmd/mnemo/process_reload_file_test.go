package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// sharedFile is a configuration for clientKey, guestKey and a pool of one key.
func sharedFile(up *fakeModel, more string) string {
	return fmt.Sprintf(`%sauth:
  mode: keys
  keys:
  - {name: app, hash: %q}
  - {name: guest, hash: %q}
upstreams:
- {name: up, url: %s, keys: [{label: a, value: sk-up-1}]}
`, patientStore, hashOf(clientKey), hashOf(guestKey), up.url) + more
}

func TestReload_keeps_what_is_in_force_before_a_file_with_mistakes(t *testing.T) {
	up := newFakeModel(t)
	good := sharedFile(up, "personas: {guide: {prompt: \"You are a guide.\"}}\n")
	r := serveFile(t, good)
	for i, bad := range []struct{ name, text, says string }{
		{"a setting that nobody knows", good + "limit: {body: 1MiB}\n", "limit"},
		{"no YAML", good + "\tlimits: {\n", "mnemo.yaml"},
		{"an empty file", "auth: {mode: keys}\n", "auth.keys"},
		{"prices that cannot be read", good + "pricing: {file: none.csv}\n", "none.csv"},
		{"a route to nowhere", good + "routes: [{model: \"*\", to: [{upstream: gone}]}]\n", "gone"},
		{"a key file that is not there", strings.Replace(good, "value: sk-up-1", "file: none.key", 1), "none.key"},
	} {
		if line := r.refuses(t, bad.text); !strings.Contains(line, bad.says) || !strings.Contains(line, `"level":"ERROR"`) {
			t.Errorf("of %s it says %s", bad.name, line)
		}
		r.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
		page := r.page(t, "/readyz", http.StatusOK)
		if said := gjson.Get(page, "configuration").String(); !strings.HasPrefix(said, "an older one is in force: since 20") || gjson.Get(page, "upstreams").String() != "ok" {
			t.Errorf("after %s it says %s", bad.name, page)
		}
		failed := r.metric(t, `mnemo_config_reloads_total{mnemo_config_outcome="failed"}`)
		if stale := r.metric(t, "mnemo_config_stale"); stale != 1 || failed != float64(i+1) {
			t.Errorf("after %s: stale %v, rejected %v", bad.name, stale, failed)
		}
	}
	r.write(t, good) // as it was: nothing is new, and all is well again
	settles(t, "the configuration is the file's", func() bool {
		return gjson.Get(r.page(t, "/readyz", http.StatusOK), "configuration").String() == "ok"
	})
	if stale := r.metric(t, "mnemo_config_stale"); stale != 0 {
		t.Errorf("stale is %v", stale)
	}
	r.says(t, turn{session: "s", text: "What is my name?"}, "Your name is Ada.")
	wantNone(t, r.log.String(), "sk-up-1", clientKey)
}

func TestReload_refuses_a_key_that_was_removed_at_once(t *testing.T) {
	up := newFakeModel(t)
	both := sharedFile(up, "")
	r := serveFile(t, both)
	begun := open(t, r.mnemo, turn{key: guestKey, session: "s", text: waiting, stream: true})
	r.reload(t, strings.Replace(both, fmt.Sprintf("  - {name: guest, hash: %q}\n", hashOf(guestKey)), "", 1))
	for range 10 {
		if a, err := r.ask(t.Context(), turn{key: guestKey, text: "Let me in."}); err != nil || a.status != http.StatusUnauthorized {
			t.Fatalf("it is answered with %d %s, %v", a.status, a.body, err)
		}
	}
	if status, said := r.manage(t, guestKey, http.MethodGet, "s", ""); status != http.StatusUnauthorized {
		t.Errorf("the management API answers %d %s", status, said)
	}
	close(up.ready)
	if rest, err := io.ReadAll(begun.rest); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("its stream ends with %s, %v", rest, err)
	}
	r.reload(t, both)
	a, err := r.ask(t.Context(), turn{key: guestKey, session: "s", text: "Go on."})
	if err != nil || a.header.Get("X-Memory-Turns") != "1" {
		t.Errorf("when the key is back, %s turns are remembered: %d, %v", a.header.Get("X-Memory-Turns"), a.status, err)
	}
}

func TestReload_reads_the_files_of_keys_again_when_it_is_told_to(t *testing.T) {
	up := newFakeModel(t)
	secret := filepath.Join(t.TempDir(), "up.key")
	saveFile(t, secret, "sk-old-5ecret\n")
	r := serveFile(t, strings.Replace(sharedFile(up, ""), "value: sk-up-1", "file: "+secret, 1))
	goesUp := func(want string) {
		t.Helper()
		r.says(t, turn{text: "Hello."}, heard("Hello."))
		if got := up.last().header.Get("Authorization"); got != "Bearer "+want {
			t.Errorf("%s goes up, want %s", got, want)
		}
	}
	goesUp("sk-old-5ecret")
	begun := open(t, r.mnemo, turn{text: waiting, stream: true})
	saveFile(t, secret, "sk-new-5ecret\n")
	goesUp("sk-old-5ecret") // nobody has said that there is another
	r.hangUp(t)
	r.log.wait(t, `"configuration reloaded"`)
	goesUp("sk-new-5ecret")
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	r.hangUp(t)
	r.log.wait(t, "the configuration is not taken over")
	goesUp("sk-new-5ecret")
	close(up.ready)
	if rest, err := io.ReadAll(begun.rest); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream with the old key ends with %s, %v", rest, err)
	}
	wantNone(t, r.log.String(), "5ecret")
}

// The prices of the file, dollars for a million tokens, become the cost of a call of
// two tokens.
func TestReload_reads_prices_again_when_it_is_told_to(t *testing.T) {
	up := newFakeModel(t)
	prices := filepath.Join(t.TempDir(), "prices.csv")
	saveFile(t, prices, "model,input,output\ngpt-4o,1,1\n")
	r := serveFile(t, sharedFile(up, "ledger: {interval: 100ms}\npricing: {file: "+prices+"}\n"))
	costs := func(session string, want float64) {
		t.Helper()
		r.says(t, turn{session: session, text: "Hello."}, heard("Hello."))
		status, said := r.manage(t, clientKey, http.MethodGet, session, "")
		if got := gjson.Get(said, "cost.usd").Float(); status != http.StatusOK || got != want {
			t.Errorf("%s costs %v, want %v: %s", session, got, want, said)
		}
	}
	costs("one", 2e-6)
	saveFile(t, prices, "model,input,output\ngpt-4o,3,3\n")
	r.hangUp(t)
	r.log.wait(t, `"configuration reloaded"`)
	costs("two", 6e-6)
	saveFile(t, prices, "model,input\n")
	r.hangUp(t)
	r.log.wait(t, "the configuration is not taken over")
	costs("three", 6e-6)
}

func TestReload_names_what_takes_a_restart_and_leaves_it_as_it_is(t *testing.T) {
	up := newFakeModel(t)
	file := sharedFile(up, "")
	r := serveFile(t, file)
	r.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	r.reload(t, strings.Replace(file, "store: {", "store: {on_error: closed, url: \"sqlite:other.db\", ttl: 1h, ", 1)+
		"limits: {header: 64KiB, session: 1MiB}\nledger: {enabled: false}\nlog: {level: error}\npersonas: {guide: {prompt: \"You are a guide.\"}}\n")
	line := r.log.wait(t, "settings changed that take a restart")
	want := "store.url store.ttl store.on_error limits.header limits.session ledger.enabled log.level"
	if got := gjson.Get(line, "settings").String(); got != want {
		t.Errorf("named are %s, want %s", got, want)
	}
	r.says(t, turn{session: "s", text: "What is my name?"}, "Your name is Ada.")
	if a, err := r.chat(t.Context(), "p", `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello."}]}`, http.Header{"X-Persona": {"guide"}}); err != nil || a.status != http.StatusOK {
		t.Errorf("what takes none is not in force: %d %s, %v", a.status, a.body, err)
	}
	if got := gjson.Get(up.last().body, "messages.0.content").String(); got != "You are a guide." {
		t.Errorf("the persona is %q", got)
	}
	r.says(t, turn{text: "Hello."}, heard("Hello."))
	r.log.waitAll(t, `"msg":"request"`, 4) // the level is what it was
}

// A store that is opened to serve calls while it is down does not take their turns as
// one that is not.
func TestReload_does_not_take_over_half_of_what_takes_a_restart(t *testing.T) {
	up := newFakeModel(t)
	file := sharedFile(up, "")
	open := strings.Replace(file, "store: {", "store: {url: \"redis://127.0.0.1:1\", ", 1)
	r := serveFile(t, open)
	r.reload(t, strings.Replace(open, "store: {", "store: {on_error: closed, ", 1))
	a := r.says(t, turn{session: "s", text: "Hello."}, heard("Hello."))
	if got := a.header.Get("X-Memory-Status"); got != "bypassed" {
		t.Errorf("memory is %q", got)
	}
}

// The file says that nobody else can reach it, but the process still listens to all.
func TestReload_lets_nobody_in_before_the_address_has_changed(t *testing.T) {
	up := newFakeModel(t)
	listen := func(address string) string { return "listen: " + address + "\n" }
	dir := t.TempDir()
	o := setup{dir: dir, file: listen("0.0.0.0:0") + sharedFile(up, ""), listens: true}
	r := &reloadable{mnemo: serve(t, o), path: filepath.Join(dir, "mnemo.yaml")}
	line := r.refuses(t, fmt.Sprintf("%supstreams: [{name: up, url: %s, keys: [{value: sk-up-1}]}]\n", listen("127.0.0.1:0"), up.url))
	if !strings.Contains(line, "auth.mode") || !strings.Contains(line, "0.0.0.0:0") {
		t.Errorf("it says %s", line)
	}
	if a, err := r.ask(t.Context(), turn{key: "sk-stranger", text: "Let me in."}); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d %s, %v", a.status, a.body, err)
	}
}

// mnemo.yaml may be absent at a start. One that was there and is gone does not make of the
// process what it would be without.
func TestReload_keeps_what_is_in_force_when_the_file_is_gone(t *testing.T) {
	up := newFakeModel(t)
	r := serveFile(t, sharedFile(up, ""))
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.hangUp(t)
	if line := r.log.wait(t, "the configuration is not taken over"); !strings.Contains(line, "mnemo.yaml") {
		t.Errorf("it says %s", line)
	}
	r.says(t, turn{text: "Hello."}, heard("Hello."))
	if a, err := r.ask(t.Context(), turn{key: "sk-stranger", text: "Let me in."}); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d %s, %v", a.status, a.body, err)
	}
	r.refuses(t, "\n") // somebody is about to write it
	r.says(t, turn{text: "Hello."}, heard("Hello."))
	r.reload(t, strings.Replace(sharedFile(up, ""), "sk-up-1", "sk-up-2", 1))
	r.says(t, turn{text: "Hello."}, heard("Hello."))
}

// A ConfigMap is a symbolic link to a directory that is replaced as a whole.
func TestReload_follows_a_file_that_is_a_link_into_a_directory_that_is_replaced(t *testing.T) {
	up := newFakeModel(t)
	dir := t.TempDir()
	version := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		saveFile(t, filepath.Join(dir, name, "mnemo.yaml"), text)
		if err := os.Symlink(name, filepath.Join(dir, "..data.new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data.new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", sharedFile(up, ""))
	if err := os.Symlink(filepath.Join("..data", "mnemo.yaml"), filepath.Join(dir, "mnemo.yaml")); err != nil {
		t.Fatal(err)
	}
	r := &reloadable{mnemo: serve(t, setup{dir: dir})}
	version("..2", strings.Replace(sharedFile(up, ""), "sk-up-1", "sk-up-2", 1))
	r.log.wait(t, `"configuration reloaded"`)
	r.says(t, turn{text: "Hello."}, heard("Hello."))
	if got := up.last().header.Get("Authorization"); got != "Bearer sk-up-2" {
		t.Errorf("%s goes up", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, "..data")); err != nil { // for a moment, or for good
		t.Fatal(err)
	}
	r.says(t, turn{text: "Hello."}, heard("Hello."))
	version("..3", strings.Replace(sharedFile(up, ""), "sk-up-1", "sk-up-3", 1))
	r.log.waitAll(t, `"configuration reloaded"`, 2)
	r.says(t, turn{text: "Hello."}, heard("Hello."))
	if got := up.last().header.Get("Authorization"); got != "Bearer sk-up-3" {
		t.Errorf("%s goes up", got)
	}
}
