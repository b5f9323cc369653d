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

	"mnemo/memory"
	"mnemo/memory/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		return Open(ctx, Options{Path: url})
	})
}

func TestStore_keeps_the_contract(t *testing.T) {
	storetest.RunFull(t, func(t *testing.T) storetest.Backend {
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
	secret := exchange(t, "a-secret-"+strings.Repeat("x", 10_000))
	secret.System = `[{"role":"system","content":"a-secret-instruction"}]`
	for _, k := range []memory.Key{key, {Tenant: "t", Session: "a-secret-name"}} {
		if _, err := s.Append(t.Context(), k, secret); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), k); err != nil {
			t.Fatal(err)
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

func TestStore_removes_expired_sessions_in_the_background(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db"), TTL: time.Hour})
		defer s.Close()
		turn := exchange(t, "x")
		turn.System = `[]`
		for i := range 2*swept + 5 {
			if _, err := s.Append(t.Context(), memory.Key{Tenant: "t", Session: fmt.Sprint(i)}, turn); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Minute) // the clock of the bubble
		if _, err := s.Append(t.Context(), key, turn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30*time.Minute + DefaultSweepInterval)
		synctest.Wait()
		for table, want := range map[string]int{"sessions": 1, "turns": 1, "instructions": 1} {
			if got := number(t, s, "SELECT count(*) FROM "+table); got != want {
				t.Errorf("%s has %d rows, want %d", table, got, want)
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
	for _, query := range []string{
		"SELECT id FROM sessions WHERE tenant = 'a' AND name = 'b' AND (expires_at = 0 OR expires_at > 1)",
		"SELECT seq, turn FROM turns WHERE session = 1 AND seq BETWEEN 1 AND 2 ORDER BY seq DESC",
		"SELECT id FROM sessions WHERE expires_at > 0 AND expires_at <= 5 ORDER BY expires_at LIMIT 3",
		"DELETE FROM turns WHERE session = 1", // as a cascade does
	} {
		err := s.write(t.Context(), func(w *writer) error {
			return sqlitex.ExecuteTransient(w.conn, "EXPLAIN QUERY PLAN "+query, &sqlitex.ExecOptions{ResultFunc: func(q *sqlite.Stmt) error {
				if plan := q.ColumnText(3); !strings.HasPrefix(plan, "SEARCH") {
					t.Errorf("%s: %s", query, plan)
				}
				return nil
			}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
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
