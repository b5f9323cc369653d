// Package pgledger keeps the ledger in PostgreSQL (13 or newer), for any number of
// replicas of this program at once. Its tables begin with ledger_ and are in one schema,
// beside those of sessions if they are there.
//
// The id of a session that is forgotten is gone for every query at once. Its bytes stay
// in PostgreSQL's files until vacuum reuses their place, and in its write-ahead log and
// backups.
package pgledger

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"mnemo/ledger"
	"mnemo/ledger/internal/statement"
)

// migrating bounds what is done with a new connection.
const migrating = 10 * time.Minute

// The conditions of PostgreSQL that are told apart, by their SQLSTATE.
const (
	undefinedSchema = "3F000"
	undefinedTable  = "42P01"
	tooMany         = "53300" // connections
	adminShutdown   = "57P01"
	crashShutdown   = "57P02"
	cannotConnect   = "57P03" // now
)

// ErrClosed is returned by every method of a closed Store.
var ErrClosed = errors.New("the postgres ledger is closed")

// A Store implements ledger.Store.
type Store struct {
	timeout time.Duration
	hosts   string // for errors
	sql     statements
	pool    *pgxpool.Pool

	mu     sync.RWMutex // held for reading while the store is used
	closed bool
}

var _ ledger.Store = (*Store)(nil)

// Open connects to PostgreSQL and makes or migrates the tables. It returns an error if the
// server answers that it cannot be used, or cannot be trusted, and ErrNewer for tables of a
// newer version. A server that does not answer may come later; that is warned of in the
// log. The context bounds the opening only.
func Open(ctx context.Context, opts Options) (*Store, error) {
	t, err := parse(opts.URL)
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{timeout: cmp.Or(opts.Timeout, DefaultTimeout), hosts: t.hosts, sql: statementsIn(t.schema)}
	var migrated atomic.Bool // the server may come after Open returned
	t.config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, migrating)
		defer cancel()
		if _, err := conn.Exec(ctx, `SET default_transaction_isolation = 'read committed'`); err != nil || migrated.Load() {
			return err
		}
		err := migrate(ctx, conn, t.schema)
		migrated.CompareAndSwap(false, err == nil)
		return err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, t.config); err != nil {
		return nil, s.failed("open ledger", err)
	}
	if err := s.Ping(ctx); refused(err) {
		return nil, errors.Join(err, s.Close())
	} else if err != nil {
		opts.Log.Warn("the ledger cannot be reached yet", "error", err)
	}
	return s, nil
}

// Ping implements ledger.Store. It finds out a standby and a role that may only read,
// but not a full disk.
func (s *Store) Ping(ctx context.Context) error {
	return s.use(ctx, "ping ledger", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, s.sql.ping)
		return err
	})
}

// Close implements ledger.Store. It waits until nobody uses the store any more.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.pool.Close()
	}
	return nil
}

// Private

// statements are the texts that a store sends, each with its schema's name.
type statements struct {
	dialect                   statement.Dialect
	calls, entries, call      string
	first, roll, forget, ping string
}

// use has f use the pool. If a connection broke, as all do when the server is restarted,
// f is called again with new ones: whatever is done here may be done twice.
func (s *Store) use(ctx context.Context, operation string, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := f(bounded)
	if err != nil && bounded.Err() == nil && broken(err) {
		s.pool.Reset()
		err = f(bounded)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", operation, ctx.Err())
	}
	if err != nil {
		return s.failed(operation, err)
	}
	return nil
}

func (s *Store) failed(operation string, err error) error {
	return fmt.Errorf("%s: postgres %s: %w", operation, s.hosts, err)
}

// refused reports whether an error of connecting will not pass with time: the server
// answers, but it or its certificate is not the right one.
func refused(err error) bool {
	if code := codeOf(err); code != "" {
		return !transient(code)
	}
	var unverified *tls.CertificateVerificationError
	return errors.Is(err, ErrNewer) || errors.As(err, &unverified)
}

// broken reports whether a connection that was good is no longer, or its work was undone.
func broken(err error) bool {
	var dial *pgconn.ConnectError
	if errors.As(err, &dial) { // the server is not there
		return false
	}
	if code := codeOf(err); code != "" {
		return transient(code)
	}
	var network *net.OpError
	return pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

// transient reports whether the server is ending or beginning, has no room, or undid
// something for the sake of something else.
func transient(code string) bool {
	switch code {
	case adminShutdown, crashShutdown, cannotConnect, tooMany, "40001", "40P01": // serialization, deadlock
		return true
	}
	return false
}

// codeOf is the SQLSTATE of an error that PostgreSQL answered with, or "".
func codeOf(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}
