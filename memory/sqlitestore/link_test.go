package sqlitestore

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"mnemo/memory"
)

// long makes a session of that many exchanges, named by their numbers.
func long(t *testing.T, s *Store, k memory.Key, n int64) {
	t.Helper()
	var snap memory.Snapshot
	for i := range n {
		turn := exchange(t, fmt.Sprint(i+1))
		turn.Seq = i + 1
		snap.Turns = append(snap.Turns, turn)
	}
	if err := snap.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := s.Import(t.Context(), k, &snap); err != nil {
		t.Fatal(err)
	}
}

func wantFound(t *testing.T, s *Store, name string, want int64) {
	t.Helper()
	turn := exchange(t, name)
	if seq, err := s.Find(t.Context(), key, turn.Links()); err != nil || seq != want {
		t.Fatalf("%s is turn %d, %v, want %d", name, seq, err, want)
	}
}

func TestFind_needs_no_index_in_a_short_log(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	long(t, s, key, unlinked)
	wantFound(t, s, "1", 1)
	wantFound(t, s, fmt.Sprint(unlinked), unlinked)
	wantFound(t, s, "nothing", 0)
	if n := number(t, s, "SELECT count(*) FROM links") + number(t, s, "SELECT count(*) FROM linked"); n != 0 {
		t.Fatalf("the index has %d rows", n)
	}
}

func TestFind_keeps_the_index_as_far_behind_as_it_may_be(t *testing.T) {
	const n = 2*linking + unlinked + 1
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	long(t, s, key, n)
	for range 2 {
		wantFound(t, s, "1", 1)
		wantFound(t, s, fmt.Sprint(n), n)
		if got := number(t, s, "SELECT count(*) FROM links"); got != n {
			t.Fatalf("the index has %d turns, want %d", got, n)
		}
	}
	for i := range int64(unlinked) {
		if _, err := s.Append(t.Context(), key, exchange(t, fmt.Sprint("later ", i))); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			wantFound(t, s, fmt.Sprint("later ", i), n+1+i)
		}
	}
	if got := number(t, s, "SELECT seq FROM linked"); got != n {
		t.Fatalf("the index ends at %d, want %d", got, n)
	}
	// What stands in the index and again after it is found after it.
	if _, err := s.Append(t.Context(), key, exchange(t, "1")); err != nil {
		t.Fatal(err)
	}
	wantFound(t, s, "1", n+unlinked+1)
	if got := number(t, s, "SELECT seq FROM linked"); got != n+unlinked+1 {
		t.Fatalf("the index ends at %d, want %d", got, n+unlinked+1)
	}
	// A superseded turn is in the index and not found.
	edit := exchange(t, "edit")
	edit.Supersedes = memory.Span{First: 2, Last: n + unlinked + 1}
	if _, err := s.Append(t.Context(), key, edit); err != nil {
		t.Fatal(err)
	}
	wantFound(t, s, "1", 1)
	wantFound(t, s, "2", 0)
}

func TestFind_makes_the_index_together_with_others(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	stores := []*Store{opened(t, Options{Path: path}), opened(t, Options{Path: path})}
	defer stores[0].Close()
	defer stores[1].Close()
	const n = 3*linking + unlinked
	long(t, stores[0], key, n)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint(i*300 + 1)
			turn := exchange(t, name)
			if seq, err := stores[i%2].Find(t.Context(), key, turn.Links()); err != nil || fmt.Sprint(seq) != name {
				t.Errorf("%s is turn %d, %v", name, seq, err)
			}
		})
	}
	wg.Wait()
	if got := number(t, stores[0], "SELECT count(*) FROM links"); got != 3*linking {
		t.Fatalf("the index has %d turns, want %d", got, 3*linking)
	}
}

func TestFind_leaves_no_index_of_a_session_that_is_deleted_meanwhile(t *testing.T) {
	s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db")})
	defer s.Close()
	turn := exchange(t, "x")
	behind := lag{session: 1, upTo: 1, turns: []linkedTurn{{1, turn.Links()}}}
	for range 2 { // before the session is there, and after
		if err := s.write(t.Context(), func(w *writer) error { return w.link(behind) }); err != nil {
			t.Fatal(err)
		}
		if n := number(t, s, "SELECT count(*) FROM links"); n != 0 {
			t.Fatalf("the index has %d rows", n)
		}
		if _, err := s.Append(t.Context(), key, turn); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}
