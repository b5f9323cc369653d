// Package sqlitestore keeps sessions in one SQLite file. Any number of processes
// on one machine may share it.
package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"mnemo/memory"
)

// Defaults of Options.
const (
	DefaultMaxSessionBytes = 64 << 20
	DefaultSweepInterval   = time.Minute
)

// ErrClosed is returned by a store that was closed.
var ErrClosed = errors.New("the store is closed")

// Options of a Store. Only Path is needed.
type Options struct {
	Path            string           // of the file; it is created, its directory is not
	TTL             time.Duration    // after the last turn; 0: sessions do not expire
	MaxSessionBytes int64            // of a session's messages; 0: DefaultMaxSessionBytes
	CacheBytes      int64            // of decoded turns; see memory.NewCache
	SweepInterval   time.Duration    // between removals of expired sessions; 0: DefaultSweepInterval
	Now             func() time.Time // nil: time.Now
	Log             *slog.Logger     // nil: nothing is logged

	// Relaxed commits without waiting for the disk. Turns still survive the death
	// of the process; a power failure may lose those of the last moments. It makes
	// a lone append several times faster and hardly matters when many share a sync.
	Relaxed bool
}

// A Store implements memory.Store. Concurrent appends share a transaction and
// its sync to disk.
type Store struct {
	opts    Options
	cache   *memory.Cache
	readers chan *reader
	queue   chan *job
	close   func() error

	mu     sync.RWMutex // closed is read while a job is queued
	closed bool
}

var _ memory.Store = (*Store)(nil)

// Open opens or creates the file. It returns ErrNewer for a file of a newer
// version. The context bounds the opening only.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s, err := open(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", opts.Path, err)
	}
	return s, nil
}

// Load implements memory.Store. If the cached tail is current, it costs one
// lookup by index and decodes nothing.
func (s *Store) Load(ctx context.Context, key memory.Key, need memory.Need) (memory.Session, error) {
	if err := key.Check(); err != nil {
		return memory.Session{}, err
	}
	var session memory.Session
	err := s.read(ctx, func(r *reader) (err error) {
		session, err = s.load(r, key, need)
		return err
	})
	if err != nil {
		return memory.Session{}, fmt.Errorf("load session: %w", err)
	}
	return session, nil
}

// Turns implements memory.Store.
func (s *Store) Turns(ctx context.Context, key memory.Key, before int64, limit int) ([]memory.Turn, error) {
	if err := key.Check(); err != nil {
		return nil, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	var turns []memory.Turn
	err := s.read(ctx, func(r *reader) (err error) {
		turns, err = r.before(key, s.now(), before, max(limit, 0))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read turns: %w", err)
	}
	slices.Reverse(turns)
	return turns, nil
}

// Ping implements memory.Store.
func (s *Store) Ping(ctx context.Context) error {
	err := s.read(ctx, func(r *reader) error {
		_, _, err := r.lookup(memory.Key{}, s.now())
		return err
	})
	if err == nil {
		err = s.write(ctx, func(*writer) error { return nil })
	}
	if err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Close implements memory.Store. Closing again does nothing.
func (s *Store) Close() error { return s.close() }

// Private

func (s *Store) now() int64 { return s.opts.Now().UnixMilli() }

// times are now and when a session that gets a turn now expires.
func (s *Store) times() (now, expires int64) {
	at := s.opts.Now()
	if s.opts.TTL > 0 {
		expires = at.Add(s.opts.TTL).UnixMilli()
	}
	return at.UnixMilli(), expires
}

func (s *Store) load(r *reader, key memory.Key, need memory.Need) (memory.Session, error) {
	tail, now := s.cache.Tail(key, need), s.now()
	head, found, err := r.lookup(key, now)
	if err != nil {
		return memory.Session{}, err
	}
	if found && tail.Current(head.Head) && tail.Covers(need) {
		return tail.Session, nil
	}
	var turns []memory.Turn
	err = r.snapshot(func() (err error) { // so that head and turns belong together
		if head, found, err = r.lookup(key, now); err != nil || !found {
			return err
		}
		tail = tail.At(head.Head)
		if err = r.complete(&head, &tail); err != nil {
			return err
		}
		turns, err = r.missing(head.Head, tail, need)
		return err
	})
	if err != nil {
		return memory.Session{}, err
	}
	if !found {
		s.cache.Drop(key)
		return memory.Session{}, nil
	}
	return s.cache.Extend(key, tail, head.Head, turns), nil
}
