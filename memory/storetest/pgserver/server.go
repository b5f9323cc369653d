//go:build unix

// Package pgserver runs real PostgreSQL servers for tests, on free loopback ports
// and in folders of their own: Fresh gives a test a database, Start a server that
// it may stop.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	// patience bounds how long a server may take to answer or to stop.
	patience = 30 * time.Second
	// attempts to start, because a free port may be taken in between.
	attempts = 3
	// access is who may connect: the superuser without a password, others with one.
	access = "local all all trust\n" +
		"host all postgres 127.0.0.1/32 trust\n" +
		"host all all 127.0.0.1/32 scram-sha-256\n"
)

// A Server is a PostgreSQL that keeps its data in a folder and its port over
// restarts, and its database postgres. Unless it is started with fsync=on, its data
// survive its own death but not that of the machine.
type Server struct {
	Database
	Dir string // of its data, and of its unix socket

	bin   string
	args  []string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	log   *bytes.Buffer // to be read only then
	hold  *os.File      // the server ends when it is closed
}

// Start starts a server with further settings, such as "ssl=on". If there is no
// PostgreSQL, the test is skipped, or fails where CI=true.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := create(installed(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(s.Dir); err != nil {
			t.Error(err)
		}
	})
	for i := 1; ; i++ {
		s.Addr = FreeAddr(t)
		s.args = s.arguments(settings)
		err := s.run()
		if err == nil {
			return s
		}
		if i == attempts {
			t.Fatal(err)
		}
	}
}

// FreeAddr returns a loopback address that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	addr, err := freeAddr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// Kill ends the server at once, as a crash would, if it runs. (SIGKILL would leave
// its children, which hold the data folder for a moment.)
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may be gone already
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

// Restart starts a killed server again, on its data and its port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// Give makes a file, such as a certificate's key, one that the server may read.
func (s *Server) Give(t testing.TB, path string) {
	t.Helper()
	if err := chown(path); err != nil {
		t.Fatal(err)
	}
}

// Private

// installed is the folder of PostgreSQL's programs; without it the test ends.
func installed(t testing.TB) string {
	t.Helper()
	bin, err := find()
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return bin
}

// find returns the folder of PostgreSQL, the newest one where Debian has it, which
// is out of PATH.
func find() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: there is no initdb in PATH or /usr/lib/postgresql")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// create makes a server's folder.
func create(bin string) (*Server, error) {
	dir, err := os.MkdirTemp("", "pg") // a unix socket's path must be short
	if err != nil {
		return nil, err
	}
	s := &Server{Database: Database{Name: "postgres"}, Dir: dir, bin: bin}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) initialize() error {
	if err := chown(s.Dir); err != nil {
		return err
	}
	initdb := s.command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if said, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, said)
	}
	return os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(access), 0o600) // it keeps its owner
}

func (s *Server) data() string { return filepath.Join(s.Dir, "data") }

// arguments are those of postgres, with settings that make tests fast and further ones.
func (s *Server) arguments(settings []string) []string {
	_, port, _ := net.SplitHostPort(s.Addr)
	args := []string{"-D", s.data(), "-p", port, "-k", s.Dir, "-h", "127.0.0.1"}
	for _, setting := range append([]string{
		"fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=64MB", "max_wal_size=512MB",
	}, settings...) {
		args = append(args, "-c", setting)
	}
	return args
}

func (s *Server) run() error {
	s.log = &bytes.Buffer{}
	s.ended = make(chan struct{})
	s.cmd = s.command(filepath.Join(s.bin, "postgres"), s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait() // the log says more than its exit status
		close(s.ended)
	}()
	if err := s.poll(); err != nil {
		s.Kill()
		return fmt.Errorf("start postgres: %w\n%s", err, s.log)
	}
	return nil
}

// poll waits until the server is ready, or ended.
func (s *Server) poll() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, err := s.Do(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return err
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// command is a program, run in the server's folder as somebody whom PostgreSQL accepts.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir = s.Dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	if owner := ordinary(); owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	}
	return cmd
}
