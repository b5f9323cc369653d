package sqlitestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// oldFile makes a file of schema 1 with the texts of sessions' turns.
func oldFile(t *testing.T, sessions map[string][]string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "old.db")
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(query string, args ...any) {
		t.Helper()
		if err := sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sqlitex.ExecuteScript(c, migrations[0]+"; PRAGMA user_version = 1", nil); err != nil {
		t.Fatal(err)
	}
	for name, turns := range sessions {
		n := len(turns)
		must(`INSERT INTO sessions (tenant, name, seq, messages, groups, tokens, bytes, system_seq, updated_at, expires_at)
			VALUES ('t', ?, ?, ?, ?, ?, ?, 1, ?, 0)`, name, n, 2*n, n, 100*n, 1000*n, 1_700_000_100_000+n)
		id := c.LastInsertRowID()
		must(`INSERT INTO instructions VALUES (?, '["be brief"]')`, id)
		for i, text := range turns {
			must(`INSERT INTO turns (session, seq, turn) VALUES (?, ?, ?)`, id, i+1, text)
		}
	}
	return path
}

// oldText is a turn as the first schema had it, without an ID.
func oldText(i int, question string) string {
	return fmt.Sprintf(`{"v":1,"at":%d,"model":"m","messages":[{"tokens":50,"message":{"role":"user","content":"%s"}},`+
		`{"tokens":50,"message":{"role":"assistant","content":"answer %d"}}]}`, 1_700_000_000_000+i, question, i)
}

func TestMigrate_brings_an_old_file_forward(t *testing.T) {
	var log []string
	for i := range 2*linking + 40 {
		log = append(log, oldText(i, fmt.Sprintf("Вопрос %d", i)))
	}
	path := oldFile(t, map[string][]string{
		"long": log, "short": {oldText(7, "hi")}, "damaged": {`{"v":1,"at":5,"messages":[{"message":[]}]}`},
		"untitled": {strings.Replace(oldText(3, ""), "answer", "b", 1)},
	})
	var wg sync.WaitGroup
	for range 4 { // several processes find the old file at once
		wg.Go(func() {
			s, err := Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
	s := opened(t, Options{Path: path})
	defer s.Close()
	for name, want := range map[string]struct {
		title string
		turns int64
		at    int64
	}{"long": {"Вопрос 0", int64(len(log)), 0}, "short": {"hi", 1, 7}, "untitled": {"", 1, 3}} {
		k := memory.Key{Tenant: "t", Session: name}
		got, err := s.Info(t.Context(), k)
		n := want.turns
		if err != nil || got.Title != want.title || got.Seq != n || got.System != `["be brief"]` || got.Persona != "" || got.Summary != nil ||
			got.Created.UnixMilli() != 1_700_000_000_000+want.at || got.Updated.UnixMilli() != 1_700_000_100_000+n ||
			got.Totals != (memory.Totals{Turns: n, Messages: 2 * n, Groups: n, Tokens: 100 * n, Bytes: 1000 * n}) || got.Spent != (memory.Spent{Unpriced: n}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		loaded, err := s.Load(t.Context(), k, memory.Need{Messages: 1 << 20})
		if err != nil || int64(len(loaded.Turns)) != n || loaded.Totals != got.Totals || loaded.Revision.Branch != 0 {
			t.Errorf("%s: %d turns, %+v, %v", name, len(loaded.Turns), loaded.Totals, err)
		}
	}
	if list, err := s.Sessions(t.Context(), memory.Query{Tenant: "t", Search: "ВОПРОС", Limit: 9}); err != nil || len(list) != 1 || list[0].Key.Session != "long" {
		t.Errorf("found %+v, %v", list, err)
	}
	if list, err := s.Sessions(t.Context(), memory.Query{Tenant: "t", Limit: 9}); err != nil || len(list) != 4 || list[0].Key.Session != "long" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, err := s.Load(t.Context(), memory.Key{Tenant: "t", Session: "damaged"}, memory.Need{Messages: 1}); !errors.Is(err, memory.ErrCodec) {
		t.Errorf("a damaged turn: %v", err)
	}
}

func TestMigrate_leaves_sessions_that_go_on(t *testing.T) {
	path := oldFile(t, map[string][]string{"s": {oldText(1, ""), oldText(2, "a"), oldText(3, "b")}})
	s := opened(t, Options{Path: path})
	defer s.Close()
	k := memory.Key{Tenant: "t", Session: "s"}
	b, err := memory.DecodeTurn(3, oldText(3, "b"))
	if err != nil {
		t.Fatal(err)
	}
	if seq, err := s.Find(t.Context(), k, b.Links()); err != nil || seq != 3 {
		t.Errorf("found is turn %d, %v", seq, err)
	}
	edit := exchange(t, "c")
	edit.Supersedes, edit.At = memory.Span{First: 2, Last: 3}, time.UnixMilli(1_700_000_200_000)
	edit.Usage = memory.Usage{Input: 5, Cost: 3, Priced: true}
	if seq, err := s.Append(t.Context(), k, edit); err != nil || seq != 4 {
		t.Fatalf("seq %d, %v", seq, err)
	}
	got, err := s.Info(t.Context(), k)
	want := memory.Totals{Turns: 2, Messages: 4, Groups: 2, Tokens: int64(100 + edit.Tokens()), Bytes: int64(3000 + edit.Size())}
	if err != nil || got.Title != "c" || got.Totals != want || got.Spent != (memory.Spent{Input: 5, Cost: 3, Unpriced: 3}) || !got.Updated.Equal(edit.At) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if seq, err := s.Find(t.Context(), k, b.Links()); err != nil || seq != 0 {
		t.Errorf("found is turn %d, %v", seq, err)
	}
}
