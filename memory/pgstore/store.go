// Package pgstore keeps sessions in PostgreSQL (13 or newer), for any number of
// replicas of this program at once. All its tables are in one schema, which it
// makes and migrates by itself.
//
// # Durability
//
// Append returns when PostgreSQL has committed the turn, and so every acknowledged
// turn survives whatever PostgreSQL's own settings promise: with fsync and
// synchronous_commit on, as they are by default, a power failure. Turns that are
// committed at the same time share a sync. synchronous_commit=off in the URL trades
// the turns of the last moments before a crash of the server for speed.
//
// Behind PgBouncer in transaction mode the URL needs default_query_exec_mode=exec,
// unless PgBouncer keeps prepared statements itself (max_prepared_statements).
//
// A deleted session is gone for every query at once. Its bytes stay in PostgreSQL's
// files until vacuum reuses their place, and in its write-ahead log and backups.
package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mnemo/memory"
)

// migrating bounds what is done with a new connection; a migration that takes longer
// is begun again.
const migrating = 10 * time.Minute

// ErrClosed is returned by every method of a closed Store.
var ErrClosed = errors.New("the postgres store is closed")

// A Store implements memory.Store.
type Store struct {
	opts   Options // without its URL
	hosts  string  // for errors
	schema string
	sql    statements
	pool   *pgxpool.Pool
	cache  *memory.Cache

	sweeping sync.WaitGroup
	stop     context.CancelFunc // ends the sweeping

	mu     sync.RWMutex // held for reading while the store is used
	closed bool
}

var _ memory.Store = (*Store)(nil)

// Open connects to PostgreSQL and migrates the schema. It returns an error if the
// server answers that it cannot be used, such as to a wrong password, an unknown
// database or a role that may not write, or if it cannot be trusted, and ErrNewer
// for a schema of a newer version. A server that does not answer may come later;
// that, and one that does not wait for its disk, is warned of in the log. The
// context bounds the opening only.
func Open(ctx context.Context, opts Options) (*Store, error) {
	t, err := parse(opts.URL)
	if err != nil {
		return nil, err
	}
	opts.URL = ""
	opts.MaxSessionBytes = cmp.Or(opts.MaxSessionBytes, DefaultMaxSessionBytes)
	opts.SweepInterval = cmp.Or(opts.SweepInterval, DefaultSweepInterval)
	opts.Timeout = cmp.Or(opts.Timeout, DefaultTimeout)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		opts: opts, hosts: t.hosts, schema: t.schema, sql: statementsIn(t.schema),
		cache: memory.NewCache(opts.CacheBytes),
	}
	s.prepare(t.config)
	if s.pool, err = pgxpool.NewWithConfig(ctx, t.config); err != nil {
		return nil, s.failed("open store", err)
	}
	var sweepCtx context.Context
	sweepCtx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.sweeping.Go(func() { s.sweepRegularly(sweepCtx) })
	err = s.Ping(ctx)
	switch {
	case err == nil:
		s.warn(ctx)
	case refused(err, t.encrypted):
		return nil, errors.Join(err, s.Close())
	default:
		s.opts.Log.Warn("the store cannot be reached yet", "error", err)
	}
	return s, nil
}

// Ping implements memory.Store. It finds out a standby and a role that may only
// read, but not a full disk.
func (s *Store) Ping(ctx context.Context) error {
	return s.use(ctx, "ping store", repeatable, func(ctx context.Context, _ bool) error {
		_, err := s.pool.Exec(ctx, s.sql.ping)
		return err
	})
}

// Close implements memory.Store. It waits until nobody uses the store any more;
// every use is bounded by Options.Timeout.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.stop()
	s.sweeping.Wait()
	s.pool.Close()
	return nil
}

// Private

// prepare has connections made ready before anybody uses them. They migrate the
// schema until one has done so, because the server may come after Open returned.
func (s *Store) prepare(config *pgxpool.Config) {
	var migrated atomic.Bool
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, migrating)
		defer cancel()
		// A database may have a stricter default, under which appends that wait for
		// each other would fail instead.
		if _, err := conn.Exec(ctx, `SET default_transaction_isolation = 'read committed'`); err != nil || migrated.Load() {
			return err
		}
		if err := migrate(ctx, conn, s.schema); err != nil {
			return err
		}
		migrated.Store(true)
		return nil
	}
}

// warn warns if the server says that a turn is stored before it is.
func (s *Store) warn(ctx context.Context) {
	var setting string
	if err := s.pool.QueryRow(ctx, s.sql.durable).Scan(&setting); err == nil {
		s.opts.Log.WarnContext(ctx, "postgres does not wait for its disk: turns that it acknowledged may be lost when it crashes",
			"postgres", s.hosts, "off", setting)
	}
}

func (s *Store) failed(operation string, err error) error {
	return fmt.Errorf("%s: postgres %s: %w", operation, s.hosts, err)
}

// times are now and when a session that is written now expires.
func (s *Store) times() (now, expires int64) {
	at := s.opts.Now()
	if s.opts.TTL > 0 {
		expires = at.Add(s.opts.TTL).UnixMilli()
	}
	return at.UnixMilli(), expires
}
