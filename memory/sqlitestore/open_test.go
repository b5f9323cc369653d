package sqlitestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

func TestOpen_says_what_is_wrong_with_a_path(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{
		{"", "no path is given"},
		{filepath.Join(dir, "missing", "a.db"), filepath.Join(dir, "missing") + " does not exist; create it first"},
		{filepath.Join(text, "a.db"), text + " does not exist"},
		{text, "file is not a database"},
		{dir, "unable to open database file"},
	} {
		s, err := Open(t.Context(), Options{Path: tt.path})
		if err == nil {
			s.Close()
			t.Errorf("%q was opened", tt.path)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "open store "+tt.path) {
			t.Errorf("%q: %v, want it to say %q", tt.path, err, tt.want)
		}
	}
	left, err := os.ReadFile(text)
	if err != nil || !strings.HasPrefix(string(left), "this is no database") {
		t.Errorf("a file that is no database was changed (%v)", err)
	}
}

func TestOpen_makes_files_that_only_the_owner_reads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, Options{Path: path})
	defer s.Close()
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(name), info, err)
		}
	}
}

func TestOpen_takes_a_path_for_nothing_else(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{":memory:", "file:a.db?mode=memory", "a b'c\"d%20.db"} {
		s := opened(t, Options{Path: name})
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("%s is no file: %v", name, err)
		}
	}
}

func TestOpen_of_a_new_file_by_many_at_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := opened(t, Options{Path: path})
	defer s.Close()
	if turns, err := s.Turns(t.Context(), key, 0, 100); err != nil || len(turns) != 12 {
		t.Fatalf("%d turns, %v", len(turns), err)
	}
}

func TestOpen_sets_connections_up(t *testing.T) {
	for _, tt := range []struct {
		relaxed bool
		sync    int
	}{{false, 2}, {true, 1}} {
		s := opened(t, Options{Path: filepath.Join(t.TempDir(), "a.db"), Relaxed: tt.relaxed})
		defer s.Close()
		for pragma, want := range map[string]int{"synchronous": tt.sync, "foreign_keys": 1, "secure_delete": 1, "max_page_count": maxPages, "user_version": len(migrations)} {
			if got := number(t, s, "PRAGMA "+pragma); got != want {
				t.Errorf("relaxed %v: %s is %d, want %d", tt.relaxed, pragma, got, want)
			}
		}
		err := s.read(t.Context(), func(r *reader) error {
			return sqlitex.ExecuteTransient(r.conn, "DELETE FROM turns", nil)
		})
		if sqlite.ErrCode(err) != sqlite.ResultReadOnly {
			t.Errorf("a reader wrote: %v", err)
		}
	}
}

func TestOpen_refuses_a_newer_file_and_leaves_it_alone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, Options{Path: path})
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
		t.Fatal(err)
	}
	version := func(n string) {
		t.Helper()
		c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := sqlitex.ExecuteTransient(c, "PRAGMA user_version = "+n, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	version("99")
	if _, err := Open(t.Context(), Options{Path: path}); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Fatalf("a newer file: %v", err)
	}
	version(fmt.Sprint(len(migrations)))
	s = opened(t, Options{Path: path})
	defer s.Close()
	if turns, err := s.Turns(t.Context(), key, 0, 10); err != nil || len(turns) != 1 {
		t.Fatalf("%d turns, %v", len(turns), err)
	}
}

func TestMigrate_leaves_a_half_migrated_file_as_it_was(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sqlitex.ExecuteTransient(c, "CREATE TABLE instructions (in_the_way)", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path}); err == nil || !strings.Contains(err.Error(), "migrate to schema 1") {
		t.Fatalf("migration: %v", err)
	}
	tables, err := sqlitex.ResultInt(c.Prep("SELECT count(*) FROM sqlite_schema"))
	if err != nil || tables != 1 {
		t.Fatalf("%d tables, %v", tables, err)
	}
}
