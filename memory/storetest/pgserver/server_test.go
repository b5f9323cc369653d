//go:build unix

package pgserver_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"mnemo/memory/storetest/pgserver"
)

func do(t *testing.T, s *pgserver.Server, statements, want string) {
	t.Helper()
	if said, err := s.Do(t.Context(), statements); err != nil || said != want {
		t.Fatalf("%s: %q, %v; want %q", statements, said, err, want)
	}
}

func TestServer_keeps_what_was_committed_over_a_kill(t *testing.T) {
	s := pgserver.Start(t)
	do(t, s, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')", "")
	s.Kill()
	if said, err := s.Do(t.Context(), "SELECT v FROM t"); err == nil {
		t.Fatalf("a killed server says %q", said)
	}
	s.Restart(t)
	do(t, s, "SELECT v FROM t", "kept")
}

func TestServer_is_gone_after_its_test(t *testing.T) {
	var s *pgserver.Server
	t.Run("a test", func(t *testing.T) { s = pgserver.Start(t) })
	if s == nil {
		t.Skip("PostgreSQL is not installed")
	}
	if _, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
		t.Error("it still listens")
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}

func TestStart_takes_settings(t *testing.T) {
	s := pgserver.Start(t, "work_mem=7MB", "fsync=on")
	do(t, s, "SHOW work_mem", "7MB")
	do(t, s, "SHOW fsync", "on")
}

func TestServer_asks_others_than_its_superuser_for_a_password(t *testing.T) {
	s := pgserver.Start(t)
	do(t, s, "CREATE ROLE other LOGIN PASSWORD 'right'", "")
	if said, err := s.Do(t.Context(), "SET ROLE nobody_at_all"); err == nil {
		t.Fatalf("an unknown role: %q", said)
	}
	hba, err := s.Do(t.Context(), "SELECT string_agg(auth_method, ' ' ORDER BY line_number) FROM pg_hba_file_rules")
	if err != nil || hba != "trust trust scram-sha-256" {
		t.Fatalf("access: %q, %v", hba, err)
	}
}

func TestServer_says_why_it_did_not_start(t *testing.T) {
	s := pgserver.Start(t)
	s.Kill()
	if err := os.WriteFile(s.Dir+"/data/postgresql.conf", []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := &fatal{TB: t}
	func() {
		defer func() { _ = recover() }()
		s.Restart(failed)
	}()
	if !strings.Contains(failed.said, "no_such_setting") {
		t.Errorf("it said %q", failed.said)
	}
}

// fatal keeps what a test would have failed with.
type fatal struct {
	testing.TB
	said string
}

func (f *fatal) Fatal(args ...any) {
	if err, ok := args[0].(error); ok {
		f.said = err.Error()
	}
	panic("failed")
}
