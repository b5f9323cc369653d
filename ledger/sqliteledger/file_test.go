package sqliteledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
	"mnemo/ledger/sqliteledger"
)

func TestForget_leaves_nothing_of_an_id_in_the_files(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	s := opened(t, path)
	defer s.Close()
	const sessions, calls = 500, 2000
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	name := func(i int) string { return fmt.Sprintf("%08x-secret-%d.", uint32(i)*2654435761, i) }
	add := func(from, to int) {
		t.Helper()
		batch := make([]ledger.Entry, to-from)
		for i := range batch {
			batch[i] = ledgertest.Entry(r, uint64(from+i))
			batch[i].Tenant, batch[i].Session = "t", name((from+i)%sessions)
			if batch[i].Session == name(7) {
				batch[i].Time = time.UnixMilli(0).UTC()
			}
		}
		if err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	want := func(gone func(i int) bool) {
		t.Helper()
		files := read(t, path)
		for i := range sessions {
			if is := bytes.Contains(files, []byte(name(i))); is == gone(i) {
				t.Fatalf("%s is in the files: %v", name(i), is)
			}
		}
	}
	for from := 0; from < calls; from += 250 {
		add(from, from+250)
		if err := s.Forget(t.Context(), "t", name(2*r.IntN(sessions/2))); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < sessions; i += 2 {
		if err := s.Forget(t.Context(), "t", name(i)); err != nil {
			t.Fatal(err)
		}
	}
	want(func(i int) bool { return i%2 == 0 })
	if err := s.Roll(t.Context(), time.UnixMilli(0).AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	want(func(i int) bool { return i%2 == 0 || i == 7 })
	add(calls, calls+10)
	q := ledger.Query{Scope: ledger.Scope{Tenant: "t"}, Session: name(1)}
	if report, err := s.Usage(t.Context(), q); err != nil || report.Total.Calls != calls/sessions+1 {
		t.Errorf("%d calls of a session that is kept, %v", report.Total.Calls, err)
	}
	if report, err := s.Usage(t.Context(), ledger.Query{Scope: q.Scope}); err != nil || report.Total.Calls != calls+10 {
		t.Errorf("%d calls, %v", report.Total.Calls, err)
	}
}

// read is what is in the file and in the write-ahead log beside it.
func read(t *testing.T, path string) (all []byte) {
	t.Helper()
	for _, name := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func TestOpen_says_what_is_wrong_with_a_path(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{
		{"", "no path is given"},
		{filepath.Join(dir, "missing", "a.db"), filepath.Join(dir, "missing") + " does not exist; create it first"},
		{text, "file is not a database"},
		{dir, "unable to open database file"},
	} {
		s, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: tt.path})
		if err == nil {
			s.Close()
			t.Errorf("%q was opened", tt.path)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "open ledger "+tt.path) {
			t.Errorf("%q: %v, want it to say %q", tt.path, err, tt.want)
		}
	}
}

func TestOpen_makes_files_that_only_the_owner_reads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	s := opened(t, path)
	defer s.Close()
	if err := s.Append(t.Context(), []ledger.Entry{ledgertest.Entry(rand.New(rand.NewPCG(1, 1)), 1)}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(name), info, err)
		}
	}
}

func TestOpen_refuses_a_newer_file_and_leaves_it_alone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	if err := opened(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	version := func(n int) {
		c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := sqlitex.ExecuteTransient(c, fmt.Sprint("PRAGMA user_version = ", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	version(99)
	if _, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: path}); !errors.Is(err, sqliteledger.ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Fatalf("a newer file: %v", err)
	}
	version(1)
	s := opened(t, path)
	defer s.Close()
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkUsage(b *testing.B) {
	s := opened(b, filepath.Join(b.TempDir(), "l.db"))
	defer s.Close()
	ledgertest.BenchmarkUsage(b, s)
}

func BenchmarkAppend(b *testing.B) {
	s := opened(b, filepath.Join(b.TempDir(), "l.db"))
	defer s.Close()
	ledgertest.BenchmarkAppend(b, s)
}
