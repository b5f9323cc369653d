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

	"mnemo/memory"
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
	level := "FULL"
	if opts.Relaxed {
		level = "NORMAL"
	}
	conn, err := connect(ctx, path, &conns, "journal_mode = WAL", "synchronous = "+level,
		"secure_delete = ON", "wal_autocheckpoint = 4000", "journal_size_limit = 33554432",
		fmt.Sprint("max_page_count = ", maxPages))
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
