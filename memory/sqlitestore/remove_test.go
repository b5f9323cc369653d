package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// large makes a session that is several portions: of text, of small turns that were all
// superseded, and of links.
func large(t *testing.T, s *Store, k memory.Key) {
	t.Helper()
	const small, big = 3 * portioned / rowCost, 3
	var snap memory.Snapshot
	for i := range int64(small + big) {
		turn := exchange(t, fmt.Sprint(i))
		if i >= small {
			turn = exchange(t, strings.Repeat("x", portioned))
			turn.Supersedes = memory.Span{First: 1, Last: small}
		}
		turn.Seq = i + 1
		snap.Turns = append(snap.Turns, turn)
	}
	if err := snap.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := s.Import(t.Context(), k, &snap); err != nil {
		t.Fatal(err)
	}
	err := s.write(t.Context(), func(w *writer) error {
		behind := lag{session: 1, upTo: small}
		for i := range int64(small) {
			behind.turns = append(behind.turns, linkedTurn{seq: i + 1, links: []memory.Link{memory.Link(i / 2)}})
		}
		return w.link(behind)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rows counts those of all tables.
func rows(t *testing.T, s *Store) (n int) {
	t.Helper()
	for _, table := range tables(t, s) {
		n += number(t, s, "SELECT count(*) FROM "+table)
	}
	return n
}

func TestRemove_takes_no_more_than_a_portion_at_a_time(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db"), Relaxed: true})
	defer s.Close()
	large(t, s, key)
	size := func() int { return number(t, s, "SELECT coalesce(sum(octet_length(turn)), 0) FROM turns") }
	portions, one := 0, number(t, s, "SELECT max(octet_length(turn)) FROM turns")
	for left := true; left; portions++ {
		had, held := rows(t, s), size()
		err := s.write(t.Context(), func(w *writer) (err error) {
			left, err = w.remove(1, new(portion))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, bytes := had-rows(t, s), held-size(); n < 1 || n > portioned/rowCost+8 || bytes > portioned+one {
			t.Fatalf("a transaction removed %d rows and %d bytes of turns", n, bytes)
		}
	}
	if n := rows(t, s); n != 0 || portions < 12 {
		t.Fatalf("%d rows are left after %d portions", n, portions)
	}
}

func TestDelete_hides_a_large_session_at_once_and_removes_all_of_it(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	called := false
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db"), Relaxed: true, Now: func() time.Time {
		if called { // the caller leaves when the first transaction has begun
			cancel()
		}
		return time.Now()
	}})
	defer s.Close()
	large(t, s, key)
	called = true
	if err := s.DeleteAt(ctx, key, 3*portioned/rowCost+3); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, s); n != 0 || ctx.Err() == nil {
		t.Fatalf("%d rows are left, %v", n, ctx.Err())
	}
}

func TestSweep_removes_what_a_deletion_left(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, Options{Path: path, Relaxed: true})
	large(t, s, key)
	err := s.write(t.Context(), func(w *writer) error { // what Delete begins with
		session, err := w.retire(key)
		if err == nil {
			_, err = w.remove(session, new(portion))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, Options{Path: path, Relaxed: true})
	defer s.Close()
	turn := exchange(t, "another life")
	if seq, err := s.Append(t.Context(), key, turn); err != nil || seq != 1 {
		t.Fatalf("seq %d, %v", seq, err)
	}
	for _, q := range []memory.Query{{Tenant: key.Tenant, Limit: 9}, {AllTenants: true, Limit: 9}} {
		if list, err := s.Sessions(t.Context(), q); err != nil || len(list) != 1 || list[0].Title != "another life" {
			t.Fatalf("listed are %+v, %v", list, err)
		}
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sessions, turns := number(t, s, "SELECT count(*) FROM sessions"), number(t, s, "SELECT count(*) FROM turns"); sessions != 1 || turns != 1 {
		t.Fatalf("%d sessions and %d turns are left", sessions, turns)
	}
}

func TestAppend_begins_anew_after_a_large_session_expired(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	s := opened(t, Options{
		Path: filepath.Join(t.TempDir(), "a.db"), Relaxed: true,
		TTL: time.Hour, SweepInterval: 24 * time.Hour, Now: func() time.Time { return now },
	})
	defer s.Close()
	large(t, s, key)
	now = now.Add(2 * time.Hour)
	if seq, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil || seq != 1 {
		t.Fatalf("seq %d, %v", seq, err)
	}
	if n := number(t, s, "SELECT count(*) FROM turns"); n <= 1 {
		t.Fatalf("%d turns: the append did the sweep's work", n)
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if turns, err := s.Turns(t.Context(), key, 0, 10); err != nil || len(turns) != 1 {
		t.Fatalf("%d turns, %v", len(turns), err)
	}
	if n := number(t, s, "SELECT count(*) FROM turns"); n != 1 {
		t.Fatalf("%d turns", n)
	}
}
