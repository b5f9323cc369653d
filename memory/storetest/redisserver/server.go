// Package redisserver starts real redis-servers for tests, on free loopback
// ports and in folders of their own, and stops them with the test.
package redisserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// patience bounds how long a server may take to answer.
	patience = 20 * time.Second
	// attempts to start, because a free port may be taken in between.
	attempts = 3
)

// A Server is a redis-server process that keeps its data in a folder and its
// port over restarts. Every acknowledged write is on disk.
type Server struct {
	Addr   string // host:port
	Socket string // the path of its unix socket
	Dir    string

	args  []string
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	log   *bytes.Buffer // to be read only then
}

// Start starts a server with further arguments, such as "--requirepass", "x". If
// there is no redis-server, the test is skipped, or fails where CI=true.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not installed")
		}
		t.Skip("redis-server is not installed")
	}
	dir, err := os.MkdirTemp("", "redis") // a unix socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Dir: dir, Socket: filepath.Join(dir, "s")}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for i := 1; ; i++ {
		s.Addr = FreeAddr(t)
		_, port, _ := net.SplitHostPort(s.Addr)
		s.args = append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--unixsocket", s.Socket,
			"--save", "", "--appendonly", "yes", "--appendfsync", "always",
		}, args...)
		err := s.run()
		if err == nil {
			return s
		}
		if strings.Contains(err.Error(), "Bad directive") {
			t.Skipf("this redis-server was built without %v", args)
		}
		if i == attempts {
			t.Fatal(err)
		}
	}
}

// FreeAddr returns a loopback address that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Kill ends the server with SIGKILL, if it runs.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may be gone already
	<-s.ended
	s.cmd = nil
}

// Restart starts a killed server again, on its data and its port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// Do sends one command and returns the reply as redis-server writes it, without
// the line end; of an array only the head.
func (s *Server) Do(args ...string) (said string, err error) {
	dialer := &net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(context.Background(), "tcp", s.Addr)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	return reply(bufio.NewReader(conn))
}

// Private

func (s *Server) run() error {
	s.log = &bytes.Buffer{}
	s.ended = make(chan struct{})
	s.cmd = exec.CommandContext(context.Background(), "redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait() // the log says more than its exit status
		close(s.ended)
	}()
	err := poll(s.ended, func() error {
		said, err := s.Do("PING")
		if err == nil && (strings.HasPrefix(said, "-LOADING") || strings.HasPrefix(said, "-MASTERDOWN")) {
			err = errors.New(said)
		}
		return err
	})
	if err != nil {
		s.Kill()
		return fmt.Errorf("start redis-server: %w\n%s", err, s.log)
	}
	return nil
}

// poll waits until another process is ready, which nothing announces, or ended.
func poll(ended <-chan struct{}, ready func() error) error {
	end := time.After(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return err
		case <-end:
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if !strings.HasPrefix(line, "$") {
		return line, nil
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 {
		return "", err
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", err
	}
	return string(text), nil
}
