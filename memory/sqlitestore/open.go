package sqlitestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

const (
	// lockWait is how long a connection waits for other processes.
	lockWait = 10 * time.Second
	// lockRetry is the pause where SQLite itself does not wait.
	lockRetry = 5 * time.Millisecond
	// swept is the number of expired sessions that one transaction removes.
	swept = 16
)

// Private

func open(ctx context.Context, opts Options) (_ *Store, err error) {
	opts.MaxSessionBytes = cmp.Or(opts.MaxSessionBytes, DefaultMaxSessionBytes)
	opts.SweepInterval = cmp.Or(opts.SweepInterval, DefaultSweepInterval)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	path, err := create(opts.Path)
	if err != nil {
		return nil, err
	}
	var conns []*sqlite.Conn
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(conns))
		}
	}()
	s := &Store{
		opts:    opts,
		cache:   memory.NewCache(opts.CacheBytes),
		readers: make(chan *reader, max(2, runtime.GOMAXPROCS(0))),
		queue:   make(chan *job, queued),
	}
	sync := "FULL"
	if opts.Relaxed {
		sync = "NORMAL"
	}
	conn, err := connect(ctx, path, &conns, "journal_mode = WAL", "synchronous = "+sync,
		"secure_delete = ON", "wal_autocheckpoint = 4000", "journal_size_limit = 33554432")
	if err != nil {
		return nil, err
	}
	if err := migrate(conn); err != nil {
		return nil, err
	}
	w, err := newWriter(conn)
	if err != nil {
		return nil, err
	}
	for range cap(s.readers) {
		conn, err := connect(ctx, path, &conns, "query_only = ON")
		if err != nil {
			return nil, err
		}
		r, err := newReader(conn)
		if err != nil {
			return nil, err
		}
		s.readers <- r
	}
	s.start(w)
	return s, nil
}

// create makes the file, readable by its owner alone, and returns its whole path,
// which SQLite takes for nothing else, such as ":memory:". It never opens a file
// that exists: closing it would drop the locks that the process has on it.
func create(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path is given")
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(whole)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the directory %s does not exist; create it first", dir)
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
	for _, pragma := range append(pragmas, "foreign_keys = ON", "cache_size = -2048", "temp_store = MEMORY") {
		if err := patiently(ctx, func() error {
			return sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil)
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", pragma, err)
		}
	}
	return conn, nil
}

// patiently repeats f while another process has the file locked. SQLite gives up
// at once where two that wait could wait for each other, as when both of them
// switch a new file to write-ahead logging.
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

// start starts the writer and the sweeper, and defines how both are closed.
func (s *Store) start(w *writer) {
	var writing, sweeping sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	writing.Go(func() { w.serve(s.queue) })
	sweeping.Go(func() { s.sweepRegularly(ctx) })
	s.close = sync.OnceValue(func() error {
		stop()
		sweeping.Wait()
		s.mu.Lock()
		s.closed = true
		close(s.queue)
		s.mu.Unlock()
		writing.Wait()
		conns := []*sqlite.Conn{w.conn}
		for range cap(s.readers) {
			conns = append(conns, (<-s.readers).conn)
		}
		close(s.readers)
		if err := closeAll(conns); err != nil {
			return fmt.Errorf("close store %s: %w", s.opts.Path, err)
		}
		return nil
	})
}

func closeAll(conns []*sqlite.Conn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) sweepRegularly(ctx context.Context) {
	tick := time.NewTicker(s.opts.SweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("expired sessions were not removed", "store", s.opts.Path, "error", err)
		}
	}
}

// sweep removes what expired, a few sessions at a time, so that turns need not
// wait for it.
func (s *Store) sweep(ctx context.Context) error {
	for n := swept; n == swept; {
		err := s.write(ctx, func(w *writer) (err error) {
			n, err = w.deleteExpired(s.now(), swept)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func prepare(conn *sqlite.Conn, queries map[**sqlite.Stmt]string) error {
	for at, query := range queries {
		q, err := conn.Prepare(query)
		if err != nil {
			return err
		}
		*at = q
	}
	return nil
}

// run steps a statement that returns no rows.
func run(q *sqlite.Stmt) (err error) {
	defer reset(q, &err)
	_, err = q.Step()
	return err
}

// reset makes a statement ready for its next use.
func reset(q *sqlite.Stmt, err *error) {
	if resetErr := q.Reset(); *err == nil {
		*err = resetErr
	}
}
