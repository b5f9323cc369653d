//go:build unix

package pgserver_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory/storetest/pgserver"
)

func do(t *testing.T, s pgserver.Database, statements, want string) {
	t.Helper()
	if said, err := s.Do(t.Context(), statements); err != nil || said != want {
		t.Fatalf("%s: %q, %v; want %q", statements, said, err, want)
	}
}

func TestServer_keeps_what_was_committed_over_a_kill(t *testing.T) {
	s := pgserver.Start(t)
	do(t, s.Database, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')", "")
	s.Kill()
	if said, err := s.Do(t.Context(), "SELECT v FROM t"); err == nil {
		t.Fatalf("a killed server says %q", said)
	}
	s.Restart(t)
	do(t, s.Database, "SELECT v FROM t", "kept")
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
	do(t, s.Database, "SHOW work_mem", "7MB")
	do(t, s.Database, "SHOW fsync", "on")
}

func TestServer_asks_others_than_its_superuser_for_a_password(t *testing.T) {
	s := pgserver.Start(t)
	do(t, s.Database, "CREATE ROLE other LOGIN PASSWORD 'right'", "")
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
	failed := &failing{TB: t}
	var wg sync.WaitGroup
	wg.Go(func() { s.Restart(failed) })
	wg.Wait()
	if !strings.Contains(failed.said, "no_such_setting") {
		t.Errorf("it said %q", failed.said)
	}
}

// failing keeps what a test would have failed with.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Fatal(args ...any) {
	f.said = fmt.Sprint(args...)
	runtime.Goexit()
}

func TestFresh_gives_each_test_a_database_of_its_own(t *testing.T) {
	a, b := pgserver.Fresh(t), pgserver.Fresh(t)
	if a.Addr != b.Addr || a.Name == b.Name {
		t.Fatalf("%v, %v", a, b)
	}
	do(t, a, "CREATE TABLE t (v text); INSERT INTO t VALUES ('of a')", "")
	do(t, a, "SELECT v FROM t", "of a")
	do(t, b, "SELECT to_regclass('t') IS NULL", "t")
}

const processEnv = "PGSERVER_TEST_PROCESS"

func TestFresh_leaves_nothing_behind_when_the_process_is_killed(t *testing.T) {
	if os.Getenv(processEnv) != "" {
		d := pgserver.Fresh(t)
		dir, err := d.Do(t.Context(), "SHOW data_directory")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s %s\n", d.Addr, dir)
		select {} // until it is killed
	}
	pgserver.Fresh(t) // skips where there is no PostgreSQL
	process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	process.Env = append(os.Environ(), processEnv+"=1")
	out, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var addr, dir string
	if _, err := fmt.Fscan(out, &addr, &dir); err != nil {
		t.Fatal(err)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
	end := time.After(20 * time.Second)
	for {
		conn, dialErr := net.DialTimeout("tcp", addr, time.Second)
		if dialErr == nil {
			conn.Close()
		}
		_, statErr := os.Stat(filepath.Dir(dir))
		if dialErr != nil && os.IsNotExist(statErr) {
			return
		}
		select {
		case <-end:
			t.Fatalf("it is still there: %v, %v", dialErr, statErr)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
