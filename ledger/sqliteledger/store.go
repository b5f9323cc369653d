// Package sqliteledger keeps the ledger in one SQLite file, beside that of the sessions
// and never in it: a disk that is full, or a batch that is slow, is nothing to them. Any
// number of processes on one machine may share it.
package sqliteledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/ledger"
)

const (
	readers = 3
	// lockWait is how long a connection waits for other processes, lockRetry the pause
	// where SQLite itself does not wait.
	lockWait  = 10 * time.Second
	lockRetry = 5 * time.Millisecond
	// eraseWait bounds how long readers are waited for to empty the write-ahead log.
	eraseWait = 20 * time.Millisecond
)

// ErrClosed is returned by a store that was closed.
var ErrClosed = errors.New("the ledger is closed")

// Options of a Store.
type Options struct {
	Path string // of the file; it is created, its directory is not
}

// A Store implements ledger.Store. A batch is one transaction and one sync to disk.
type Store struct {
	path    string
	writers chan *writer // one
	readers chan *sqlite.Conn
	close   func() error
}

var _ ledger.Store = (*Store)(nil)

// Open opens or creates the file. It returns ErrNewer for a file of a newer version.
// The context bounds the opening only.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s, err := open(ctx, opts.Path)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", opts.Path, err)
	}
	return s, nil
}

// Ping implements ledger.Store. It finds out a file that cannot be written, but not
// a full disk.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, "ping ledger", func(w *writer) error {
		return sqlitex.Execute(w.conn, `DELETE FROM days WHERE at < 0`, nil)
	})
}

// Close implements ledger.Store. It waits for who uses the store. Closing again does nothing.
func (s *Store) Close() error { return s.close() }

// Private

// A writer is the connection that writes.
type writer struct {
	conn    *sqlite.Conn
	erasing bool // the write-ahead log may hold what was forgotten
}

func open(ctx context.Context, path string) (_ *Store, err error) {
	whole, err := create(path)
	if err != nil {
		return nil, err
	}
	var conns []*sqlite.Conn
	closeAll := func() (err error) {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	s := &Store{path: path, writers: make(chan *writer, 1), readers: make(chan *sqlite.Conn, readers)}
	conn, err := connect(ctx, whole, &conns, "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "journal_size_limit = 33554432")
	if err != nil {
		return nil, err
	}
	if err := migrate(conn); err != nil {
		return nil, err
	}
	s.writers <- &writer{conn: conn}
	for range readers {
		conn, err := connect(ctx, whole, &conns, "query_only = ON")
		if err == nil {
			err = teach(conn)
		}
		if err != nil {
			return nil, err
		}
		s.readers <- conn
	}
	s.close = sync.OnceValue(func() error {
		<-s.writers
		close(s.writers)
		for range readers {
			<-s.readers
		}
		close(s.readers)
		if err := closeAll(); err != nil {
			return fmt.Errorf("close ledger %s: %w", path, err)
		}
		return nil
	})
	return s, nil
}

// create makes the file, readable by its owner alone, and returns its whole path, which
// SQLite takes for nothing else, such as ":memory:". It never opens a file that exists:
// closing it would drop the locks that the process has on it.
func create(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path is given")
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(filepath.Dir(whole)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the directory %s does not exist; create it first", filepath.Dir(whole))
	}
	f, err := os.OpenFile(whole, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return whole, nil
	}
	if err != nil {
		return "", err
	}
	return whole, f.Close()
}

// connect opens one more connection and adds it to conns.
func connect(ctx context.Context, path string, conns *[]*sqlite.Conn, pragmas ...string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	*conns = append(*conns, conn)
	conn.SetBusyTimeout(lockWait)
	for _, pragma := range append(pragmas, "foreign_keys = ON", "temp_store = MEMORY") {
		err := patiently(ctx, func() error { return sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pragma, err)
		}
	}
	return conn, nil
}

// patiently repeats f while another process has the file locked. SQLite gives up at
// once where two that wait could wait for each other, as when both switch a new file
// to write-ahead logging.
func patiently(ctx context.Context, f func() error) error {
	for end := time.Now().Add(lockWait); ; {
		err := f()
		if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

// write runs f in a transaction of its own. If the context ends it is rolled back.
func (s *Store) write(ctx context.Context, operation string, f func(w *writer) error) error {
	var w *writer
	select {
	case w = <-s.writers:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", operation, ctx.Err())
	}
	if w == nil {
		return ErrClosed
	}
	defer func() { s.writers <- w }()
	w.conn.SetInterrupt(ctx.Done())
	defer w.conn.SetInterrupt(nil)
	if err := w.transact(f); err != nil {
		return s.failed(ctx, operation, err)
	}
	w.erase()
	return nil
}

func (w *writer) transact(f func(w *writer) error) (err error) {
	done, err := sqlitex.ImmediateTransaction(w.conn)
	if err != nil {
		return err
	}
	defer done(&err)
	return f(w)
}

// erase empties the write-ahead log if it may hold what was forgotten.
func (w *writer) erase() {
	if !w.erasing {
		return
	}
	w.conn.SetBusyTimeout(eraseWait)
	defer w.conn.SetBusyTimeout(lockWait)
	busy := int64(1)
	err := sqlitex.ExecuteTransient(w.conn, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{
		ResultFunc: func(q *sqlite.Stmt) error { busy = q.ColumnInt64(0); return nil },
	})
	w.erasing = err != nil || busy != 0
}

func (s *Store) read(ctx context.Context, operation string, f func(c *sqlite.Conn) error) error {
	var c *sqlite.Conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", operation, ctx.Err())
	}
	if c == nil {
		return ErrClosed
	}
	defer func() { s.readers <- c }()
	c.SetInterrupt(ctx.Done())
	defer c.SetInterrupt(nil)
	if err := f(c); err != nil {
		return s.failed(ctx, operation, err)
	}
	return nil
}

func (s *Store) failed(ctx context.Context, operation string, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("%s: %s: %w", operation, filepath.Base(s.path), err)
}
