package sqlitestore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// holds reports whether a text is in the file or in the write-ahead log.
func holds(t *testing.T, path, text string) bool {
	t.Helper()
	for _, name := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

func TestDelete_leaves_nothing_in_the_files_while_the_store_is_open(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	s := opened(t, Options{Path: path})
	defer s.Close()
	for _, k := range []memory.Key{{Tenant: "t", Session: "kept"}, {Tenant: "t", Session: "gone"}, {Tenant: "t", Session: "gone-too"}} {
		if _, err := s.Append(t.Context(), k, exchange(t, "secret of "+k.Session+".")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), memory.Key{Tenant: "t", Session: "gone"}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAt(t.Context(), memory.Key{Tenant: "t", Session: "gone-too"}, 1); err != nil {
		t.Fatal(err)
	}
	erased(t, s)
	if holds(t, path, "secret of gone") {
		t.Error("the deleted text is still in the files")
	}
	if !holds(t, path, "secret of kept.") {
		t.Error("what was kept is gone too")
	}
}

// With these seeds pages that the writer had in memory once brought back what they
// had had of a deleted session.
func TestDelete_leaves_nothing_in_pages_that_are_written_again(t *testing.T) {
	for _, seed := range []uint64{2, 13, 16} {
		random := rand.New(rand.NewPCG(seed, 5))
		path := filepath.Join(t.TempDir(), "m.db")
		s := opened(t, Options{Path: path, Relaxed: true})
		defer s.Close()
		mark := func(i int) string { return fmt.Sprintf("mark-of-session-%03d.", i) }
		at := func(i int) memory.Key { return memory.Key{Tenant: "t", Session: fmt.Sprint(i)} }
		instruct := func(i int) {
			turn := exchange(t, "x")
			turn.System = strings.Repeat(mark(i), 1+random.IntN(50))
			if _, err := s.Append(t.Context(), at(i), turn); err != nil {
				t.Fatal(err)
			}
		}
		var alive []int
		began := 0
		for range 40 {
			for range 1 + random.IntN(4) {
				instruct(began)
				alive = append(alive, began)
				began++
			}
			for range 10 {
				instruct(alive[random.IntN(len(alive))])
			}
			if len(alive) < 5 {
				continue
			}
			i := random.IntN(len(alive))
			gone := alive[i]
			alive = append(alive[:i], alive[i+1:]...)
			if err := s.Delete(t.Context(), at(gone)); err != nil {
				t.Fatal(err)
			}
			erased(t, s)
			for range 10 {
				instruct(alive[random.IntN(len(alive))])
			}
			if holds(t, path, mark(gone)) {
				t.Errorf("seed %d: session %d is still in the files", seed, gone)
			}
		}
	}
}

func TestOpen_sees_to_what_another_process_did_not_erase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	s := opened(t, Options{Path: path})
	if _, err := s.Append(t.Context(), key, exchange(t, "secret")); err != nil {
		t.Fatal(err)
	}
	reading, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	for _, query := range []string{"BEGIN", "SELECT count(*) FROM turns"} {
		if err := sqlitex.ExecuteTransient(reading, query, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !holds(t, path, "secret") {
		t.Fatal("nobody reads")
	}
	if err := sqlitex.ExecuteTransient(reading, "COMMIT", nil); err != nil {
		t.Fatal(err)
	}
	other := opened(t, Options{Path: path})
	defer other.Close()
	erased(t, other)
	if holds(t, path, "secret") {
		t.Error("the deleted text is still in the files")
	}
}
