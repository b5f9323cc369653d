// Package redisstore keeps sessions in Redis, for any number of replicas of this
// program at once. It runs on one Redis (6.2 or newer, or what speaks like it), on a
// primary with replicas, and on a cluster.
//
// A session is one hash, so it expires, is evicted and is deleted whole, and lives
// on one node of a cluster. Its key is <prefix>:session:{<SHA-256 of tenant and session>}.
// Its fields are
//
//   - the turns: the sequence number, and as its value "messages groups tokens " and
//     the turn as JSON; x:<seq>, the turn that superseded it; s:<seq>, the first turn
//     that it superseded;
//   - the links of the turns: l:<link>, the newest turn that has it; l:<link>:<seq>, the
//     next older one. Superseded turns are passed over;
//   - tenant, session, title, created and updated (in milliseconds), epoch (its life),
//     seq, dead (how many turns are superseded), branch, bytes; messages, groups and
//     tokens of the live turns; spent, the five numbers of a memory.Spent;
//   - system and instructed (the turn that brought it), persona and named (likewise),
//     summary, up_to (its last turn) and summaries (their count), lease and leased (its
//     end), recent (who wrote the last turns).
//
// Fields that an older version did not write count as 0.
//
// # The index
//
// Sessions are listed by a sorted set for each tenant, <prefix>:sessions:{<SHA-256 of the
// tenant>}, of the ids by their last activity; the tenants that have one are in
// <prefix>:tenants. On one node they are written in the same step as the session, so
// they are never wrong but in one way: what expires or is evicted stays listed. Lists
// skip it and remove it, and so do, by and by, sessions that begin.
//
// In a cluster the index is on another node. It is written beside the session, in the
// same round trip, and again when a session has begun or is deleted. A crash between
// the two leaves a place of no session, which lists skip and remove, or, where the node
// of the index failed alone, a session that is listed from its next turn on; so are the
// sessions of a version before the index. There a tenant without sessions stays in the
// set of tenants.
//
// # Durability
//
// Append returns when Redis has said that it stored the turn; nothing of a turn is
// kept back here, so that ending this program in any way loses no turn that was
// acknowledged. What Redis itself keeps when it is killed is for its operator to
// choose:
//
//   - appendonly yes, appendfsync always: every acknowledged turn, also after a
//     power failure. Turns that are written at the same time share an fsync.
//   - appendonly yes, appendfsync everysec: every acknowledged turn when only the
//     process is killed; up to about a second of turns after a power failure.
//   - appendonly no: all turns since the last snapshot are lost.
//
// A failover to a replica may lose turns that had not reached it; min-replicas-to-write
// bounds that. maxmemory-policy must be noeviction, or one of the volatile policies
// with sessions that expire anyway; otherwise Redis forgets whole sessions when it is
// full.
package redisstore

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/internal/redisclient"
	"mnemo/memory"
)

// ErrClosed is returned by every method of a closed Store.
var ErrClosed = errors.New("the redis store is closed")

// A Store keeps sessions in Redis.
type Store struct {
	client *redisclient.Client
	prefix string
	ttl    int64 // in milliseconds; 0: for ever
	limit  int64
	cache  *memory.Cache
	log    *slog.Logger
	queue  *queue

	mu     sync.RWMutex // held for reading while the store is used
	closed bool
}

var _ memory.Store = (*Store)(nil)

// Open connects to Redis and returns an error if Redis answers that it cannot be
// used, a wrong password or a read-only replica, or if its certificate cannot be
// trusted. A Redis that does not answer may come later; that, and one that keeps
// nothing on disk, is warned of in the log.
func Open(ctx context.Context, opts Options) (*Store, error) {
	client, err := redisclient.New(opts.URL, redisclient.Options{Timeout: DefaultTimeout})
	if err != nil {
		return nil, err
	}
	s := &Store{
		client: client,
		prefix: opts.Prefix,
		ttl:    max(opts.TTL.Milliseconds(), 0),
		limit:  opts.MaxSessionBytes,
		cache:  memory.NewCache(int64(opts.CacheBytes)),
		log:    opts.Log,
		queue:  newQueue(client),
	}
	if s.prefix == "" {
		s.prefix = DefaultPrefix
	}
	if s.limit == 0 {
		s.limit = DefaultMaxSessionBytes
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	err = s.Ping(ctx)
	var refusal redis.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		s.warn(ctx)
	case errors.As(err, &untrusted), errors.As(err, &refusal) && !redis.IsLoadingError(err):
		return nil, errors.Join(err, s.Close())
	default:
		s.log.Warn("the store cannot be reached yet", "error", err)
	}
	return s, nil
}

// Ping implements memory.Store. It writes, so that a read-only replica and a
// Redis that is full or cannot save are found out.
func (s *Store) Ping(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.client.Set(ctx, s.prefix+":ping", time.Now().UnixMilli(), time.Minute).Err(); err != nil {
		return s.failed("ping", err)
	}
	return nil
}

// Close implements memory.Store. It waits until nobody uses the store any more;
// every use is bounded by the timeouts of the URL.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.queue.close()
	return s.client.Close()
}

// Private

// enter begins a use of a session. It ends with s.mu.RUnlock.
func (s *Store) enter(ctx context.Context, key memory.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	return s.use(ctx)
}

// use begins a use of the store. It ends with s.mu.RUnlock.
func (s *Store) use(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return ErrClosed
	}
	return nil
}

// key is the Redis key of a session. What a client chose is hashed, so that no id
// can be that of another session, nor choose its node in a cluster.
func (s *Store) key(key memory.Key) string {
	text := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+2*memory.MaxKeyLength), uint64(len(key.Tenant)))
	text = append(append(text, key.Tenant...), key.Session...)
	sum := sha256.Sum256(text)
	return s.prefix + ":session:{" + hex.EncodeToString(sum[:]) + "}"
}

// warn warns if Redis loses everything when it stops. Not every Redis may be asked.
func (s *Store) warn(ctx context.Context) {
	said, err := s.client.ConfigGet(ctx, "appendonly").Result()
	if err == nil && said["appendonly"] == "no" {
		s.log.WarnContext(ctx, "redis keeps no append-only file: turns that it acknowledged are lost when it stops",
			slog.String("redis", s.client.Hosts), slog.String("remedy", "set appendonly yes and appendfsync always"))
	}
}

func (s *Store) failed(operation string, err error) error {
	return fmt.Errorf("%s: redis %s: %w", operation, s.client.Hosts, err)
}
