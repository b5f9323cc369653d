//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A Database is one database of a server.
type Database struct {
	Addr string // host:port of the server
	Name string
}

// Fresh makes an empty database on a server that all tests of the process share
// and that ends with the process. Roles are those of the server. Without PostgreSQL
// it does what Start does.
func Fresh(t testing.TB) Database {
	t.Helper()
	installed(t)
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	d := Database{Addr: s.Addr, Name: fmt.Sprint("test", made.Add(1))}
	if _, err := s.Do(t.Context(), "CREATE DATABASE "+d.Name); err != nil {
		t.Fatal(err)
	}
	return d
}

// URL is the address of the database for the superuser, with ? at its end.
func (d Database) URL() string { return "postgres://postgres@" + d.Addr + "/" + d.Name + "?" }

// Do runs statements as the superuser and returns the first column of the last
// row as text.
func (d Database) Do(ctx context.Context, statements string) (said string, err error) {
	conn, err := pgx.Connect(ctx, d.URL())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	results, err := conn.PgConn().Exec(ctx, statements).ReadAll()
	if err != nil {
		return "", err
	}
	for _, result := range results {
		for _, row := range result.Rows {
			said = string(row[0])
		}
	}
	return said, nil
}

// Private

var (
	// shared is the server of the process.
	shared = sync.OnceValues(outlasting)
	// made counts its databases.
	made atomic.Int64
)

// watch runs a server until the pipe at its input ends, as it does with the process
// that holds the other end, however that ends. Then it leaves nothing behind.
const watch = `dir=$1; shift; "$@" >"$dir/log" 2>&1 & cat >/dev/null; kill -QUIT $!; wait; rm -rf "$dir"`

// outlasting starts a server that outlasts the test.
func outlasting() (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s, err := create(bin)
	if err != nil {
		return nil, err
	}
	if err := s.outlast(); err != nil {
		said, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
		return nil, fmt.Errorf("start postgres: %w\n%s", errors.Join(err, os.RemoveAll(s.Dir)), said)
	}
	return s, nil
}

func (s *Server) outlast() (err error) {
	if s.Addr, err = freeAddr(context.Background()); err != nil {
		return err
	}
	input, output, err := os.Pipe()
	if err != nil {
		return err
	}
	postgres := append([]string{"-c", watch, "watch", s.Dir, filepath.Join(s.bin, "postgres")}, s.arguments(nil)...)
	cmd := s.command("sh", postgres...)
	cmd.Stdin = input
	s.hold, s.ended = output, make(chan struct{}) // neither is ever closed
	if err := errors.Join(cmd.Start(), input.Close()); err != nil {
		return err
	}
	return s.poll()
}
