package sqlitestore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mnemo/memory"
)

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
	holds := func(text string) bool {
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
	tick := time.NewTicker(time.Millisecond) // the log is emptied after the deletion was acknowledged
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); holds("secret of gone"); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the deleted text is still in the files")
		}
	}
	if !holds("secret of kept.") {
		t.Error("what was kept is gone too")
	}
}
