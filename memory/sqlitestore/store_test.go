package sqlitestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/internal/bubble"
	"mnemo/memory"
	"mnemo/memory/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		return Open(ctx, Options{Path: url})
	})
}

func TestStore_keeps_the_contract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		path := filepath.Join(t.TempDir(), "it's a ?file#&%20.db")
		var passed atomic.Int64
		return storetest.Backend{
			URL: path,
			Open: func(t *testing.T, opts storetest.Options) memory.Store {
				return opened(t, Options{
					Path: path, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes,
					Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
				})
			},
			Advance: func(d time.Duration) { passed.Add(int64(d)) },
		}
	})
}

func TestStore_leaves_nothing_of_a_deleted_session_in_the_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, Options{Path: path})
	for _, k := range []memory.Key{key, {Tenant: "t", Session: "a-secret-name"}} {
		fillEveryTable(t, s, k)
		for _, table := range tables(t, s) {
			if number(t, s, "SELECT count(*) FROM "+table) == 0 {
				t.Errorf("%s is not tested", table)
			}
		}
		if err := s.Delete(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		for _, table := range tables(t, s) {
			if n := number(t, s, "SELECT count(*) FROM "+table); n > 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadFile(path)
	if err != nil || bytes.Contains(left, []byte("a-secret")) {
		t.Fatalf("the file has it still (%v)", err)
	}
	if files, err := filepath.Glob(path + "*"); err != nil || len(files) != 1 {
		t.Fatalf("closing left %q, %v", files, err)
	}
}

// fillEveryTable makes a session of secrets that has a row in each.
func fillEveryTable(t *testing.T, s *Store, k memory.Key) {
	t.Helper()
	secret := exchange(t, "a-secret-"+strings.Repeat("x", 10_000))
	secret.System, secret.Persona = `[{"role":"system","content":"a-secret-instruction"}]`, "a-secret-persona"
	for i := range int64(unlinked + 2) {
		turn := exchange(t, "a-secret")
		if i == 0 {
			turn = secret
		}
		if i == unlinked+1 {
			turn.Supersedes = memory.Span{First: i, Last: i}
		}
		if _, err := s.Append(t.Context(), k, turn); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Find(t.Context(), k, secret.Links()); err != nil {
		t.Fatal(err)
	}
	session, err := s.Load(t.Context(), k, memory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context(), k, session.Revision, &memory.Summary{Text: "a-secret-summary", UpTo: 3}); err != nil {
		t.Fatal(err)
	}
	if held, err := s.Lease(t.Context(), k, "a-secret-holder", time.Hour); err != nil || !held {
		t.Fatalf("lease: %v, %v", held, err)
	}
}

// tables are those that hold sessions.
func tables(t *testing.T, s *Store) (names []string) {
	t.Helper()
	err := s.write(t.Context(), func(w *writer) error {
		names = nil
		return sqlitex.ExecuteTransient(w.conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
			&sqlitex.ExecOptions{ResultFunc: func(q *sqlite.Stmt) error { names = append(names, q.ColumnText(0)); return nil }})
	})
	if err != nil || len(names) < 9 {
		t.Fatalf("tables %q, %v", names, err)
	}
	return names
}

func TestStore_removes_expired_sessions_in_the_background(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db"), TTL: time.Hour})
		defer s.Close()
		turn := exchange(t, "x")
		turn.System = `[]`
		for i := range 2*portioned/sessionCost + 5 {
			if _, err := s.Append(t.Context(), memory.Key{Tenant: "t", Session: fmt.Sprint(i)}, turn); err != nil {
				t.Fatal(err)
			}
		}
		fillEveryTable(t, s, memory.Key{Tenant: "t", Session: "full"})
		time.Sleep(30 * time.Minute) // the clock of the bubble
		if _, err := s.Append(t.Context(), key, turn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30*time.Minute + DefaultSweepInterval)
		synctest.Wait()
		left := map[string]int{"sessions": 1, "turns": 1, "instructions": 1, "titles": 1}
		for _, table := range tables(t, s) {
			if got := number(t, s, "SELECT count(*) FROM "+table); got != left[table] {
				t.Errorf("%s has %d rows, want %d", table, got, left[table])
			}
		}
	})
}

func TestStore_never_expires_sessions_without_a_time_to_live(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	now := time.Unix(1_700_000_000, 0)
	s := opened(t, Options{Path: path, Now: func() time.Time { return now }})
	defer s.Close()
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(100 * 365 * 24 * time.Hour)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(t.Context(), key, memory.Need{Messages: 1}); err != nil || got.Seq != 1 {
		t.Fatalf("seq %d, %v", got.Seq, err)
	}
}

func TestStore_reads_what_is_needed_by_index(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	cursor := &memory.Cursor{Updated: time.UnixMilli(1), Key: key}
	list := func(q memory.Query) string {
		query, _ := listing(&q, 0)
		return query
	}
	queries := []string{
		"SELECT id FROM sessions WHERE tenant = 'a' AND name = 'b' AND (expires_at = 0 OR expires_at > 1)",
		"SELECT id FROM sessions WHERE expires_at > 0 AND expires_at <= 5 ORDER BY expires_at LIMIT 3",
		liveTurns,
		list(memory.Query{Tenant: "t"}), list(memory.Query{Tenant: "t", After: cursor, IdleSince: time.UnixMilli(1), Search: "x"}),
		list(memory.Query{AllTenants: true, After: cursor}), list(memory.Query{AllTenants: true, IdleSince: time.UnixMilli(1)}),
	}
	for _, table := range tables(t, s) { // as a cascade does
		if table != "sessions" {
			queries = append(queries, "DELETE FROM "+table+" WHERE session = 1")
		}
	}
	for _, query := range queries {
		for _, plan := range plans(t, s, query) {
			if !strings.HasPrefix(plan, "SEARCH") && !strings.HasPrefix(plan, "CORRELATED") && !strings.Contains(query, "ORDER BY listed_at") {
				t.Errorf("%s: %s", query, plan)
			}
			if strings.HasPrefix(plan, "SCAN") && !strings.Contains(plan, "USING INDEX sessions_of_all") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s: %s", query, plan)
			}
		}
	}
}

// plans says how SQLite goes about a query.
func plans(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
	err := s.write(t.Context(), func(w *writer) error {
		q, _, err := w.conn.PrepareTransient("EXPLAIN QUERY PLAN " + query)
		if err != nil {
			return err
		}
		defer q.Finalize()
		for {
			if more, err := q.Step(); err != nil || !more {
				return err
			}
			steps = append(steps, q.ColumnText(3))
		}
	})
	if err != nil || len(steps) == 0 {
		t.Fatalf("%s: %q, %v", query, steps, err)
	}
	return steps
}

func TestStore_says_that_a_stored_turn_is_damaged(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db"), CacheBytes: -1})
	defer s.Close()
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
		t.Fatal(err)
	}
	err := s.write(t.Context(), func(w *writer) error {
		return sqlitex.ExecuteTransient(w.conn, `UPDATE turns SET turn = '{"v":99}'`, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // more than there are readers: each must be fit for use after an error
		if _, err := s.Load(t.Context(), key, memory.Need{Messages: 1}); !errors.Is(err, memory.ErrCodec) {
			t.Fatalf("load: %v", err)
		}
		if _, err := s.Turns(t.Context(), key, 0, 1); !errors.Is(err, memory.ErrCodec) {
			t.Fatalf("turns: %v", err)
		}
	}
	if got, err := s.Load(t.Context(), key, memory.Need{}); err != nil || got.Seq != 1 {
		t.Fatalf("seq %d, %v", got.Seq, err)
	}
}

var key = memory.Key{Tenant: "tenant", Session: "session"}

func exchange(t testing.TB, text string) memory.Turn {
	t.Helper()
	var turn memory.Turn
	for _, role := range []string{"user", "assistant"} {
		m, err := memory.ParseMessage(`{"role":"` + role + `","content":"` + text + `"}`)
		if err != nil {
			t.Fatal(err)
		}
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

// number is what a query returns on the connection that writes.
func number(t testing.TB, s *Store, query string) (n int) {
	t.Helper()
	err := s.write(t.Context(), func(w *writer) error {
		return sqlitex.ExecuteTransient(w.conn, query, &sqlitex.ExecOptions{ResultFunc: func(q *sqlite.Stmt) error {
			n = q.ColumnInt(0)
			return nil
		}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// opened opens a store that the test closes.
func opened(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
