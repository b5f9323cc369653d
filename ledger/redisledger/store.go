// Package redisledger keeps the ledger in Redis (6.2 or newer, or what speaks like it),
// for any number of replicas of this program at once, also in a cluster.
//
// What there is of a tenant is on one node, under <prefix>:ledger:{<hash of the tenant>}:
//
//   - sums:<hour>, hashes: what calls of the hour add up to, by operation, model, upstream
//     and key; day:<day>, the same of days that were rolled up;
//   - rows:<hour>, entries:<hour>, sessions:<hour>, hashes by UID: what single calls count, all
//     that is known of them, and their sessions; ids:<hour>, the UIDs by the calls' ids;
//   - hours and days, sorted sets of what there is; rolled, how often something was rolled up.
//
// Hours are numbers since 1970 and in UTC. Tenants are in the set <prefix>:ledger:tenants. An
// entry is kept, and added to its hour's sums, in one step. All numbers are exact.
//
// Sums by anything but sessions are read from hours and days; only an hour that a query
// cuts, and sums by session, need the rows.
package redisledger

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/internal/redisclient"
	"mnemo/ledger"
)

// slack is how much longer than Options.Keep calls live that nobody rolls up.
const slack = 48 * time.Hour

// ErrClosed is returned by every method of a closed Store.
var ErrClosed = errors.New("the redis ledger is closed")

// A Store implements ledger.Store.
type Store struct {
	client *redisclient.Client
	prefix string
	ttl    int64 // of an hour's calls, in seconds; 0: for ever

	mu     sync.RWMutex // held for reading while the store is used
	closed bool
}

var _ ledger.Store = (*Store)(nil)

// Open connects to Redis. It returns an error if Redis answers that it cannot be used, or
// cannot be trusted. A Redis that does not answer may come later; that is warned of in the
// log. The context bounds the opening only.
func Open(ctx context.Context, opts Options) (*Store, error) {
	client, err := redisclient.New(opts.URL, redisclient.Options{Timeout: DefaultTimeout})
	if err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{client: client, prefix: cmp.Or(opts.Prefix, DefaultPrefix)}
	if opts.Keep > 0 {
		s.ttl = int64((opts.Keep + slack).Seconds())
	}
	err = s.Ping(ctx)
	var refusal redis.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
	case errors.As(err, &untrusted), errors.As(err, &refusal) && !redis.IsLoadingError(err):
		return nil, errors.Join(err, s.Close())
	default:
		opts.Log.Warn("the ledger cannot be reached yet", "error", err)
	}
	return s, nil
}

// Ping implements ledger.Store. It writes, so that a read-only replica and a Redis that
// is full or cannot save are found out.
func (s *Store) Ping(ctx context.Context) error {
	return s.use(ctx, "ping ledger", func() error {
		return s.client.Set(ctx, s.prefix+":ledger:ping", time.Now().UnixMilli(), time.Minute).Err()
	})
}

// Close implements ledger.Store. It waits until nobody uses the store any more.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.client.Close()
}

// Private

var (
	//go:embed append.lua
	addText string
	//go:embed forget.lua
	forgetText string
	//go:embed roll.lua
	rollText string

	add    = redis.NewScript(addText)
	forget = redis.NewScript(forgetText)
	roll   = redis.NewScript(rollText)
)

// use has f use the client.
func (s *Store) use(ctx context.Context, operation string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	err := f()
	switch {
	case err == nil, errors.Is(err, ledger.ErrTooWide):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", operation, ctx.Err())
	}
	return fmt.Errorf("%s: redis %s: %w", operation, s.client.Hosts, err)
}

// pipelined sends what f queues in one round trip. It returns the first error; that there
// is no such thing is none.
func (s *Store) pipelined(ctx context.Context, f func(p redis.Pipeliner)) error {
	sent, _ := s.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		f(p)
		return nil
	})
	for _, cmd := range sent {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

// run runs a script in a pipeline. A Redis that has not seen it, because it is new or was
// restarted, gets the text.
func (s *Store) run(ctx context.Context, script *redis.Script, calls []run) error {
	for _, eval := range []func(p redis.Pipeliner, c run) *redis.Cmd{
		func(p redis.Pipeliner, c run) *redis.Cmd { return script.EvalSha(ctx, p, c.keys, c.args...) },
		func(p redis.Pipeliner, c run) *redis.Cmd { return script.Eval(ctx, p, c.keys, c.args...) },
	} {
		var sent []*redis.Cmd
		_, _ = s.client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			for _, c := range calls {
				sent = append(sent, eval(p, c))
			}
			return nil
		})
		var unseen []run
		for i, cmd := range sent {
			switch err := cmd.Err(); {
			case redis.HasErrorPrefix(err, "NOSCRIPT"):
				unseen = append(unseen, calls[i])
			case err != nil && !errors.Is(err, redis.Nil):
				return err
			}
		}
		if len(unseen) == 0 {
			return nil
		}
		calls = unseen
	}
	return errors.New("redis does not take a script")
}

// A run is one run of a script.
type run struct {
	keys []string
	args []any
}
