package answercache

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/internal/redisclient"
)

const (
	// DefaultPrefix begins the keys in Redis if none is set.
	DefaultPrefix = "mnemo"
	// DefaultTimeout is how long a call waits for Redis.
	DefaultTimeout = 50 * time.Millisecond

	// dropTimeout is how long a Drop waits for Redis: a promise depends on it.
	dropTimeout = 3 * time.Second
	// restFor is how long Redis is not asked after it did not answer.
	restFor = time.Second
	// complainEvery is how often an outage is told of.
	complainEvery = time.Minute
	// dropBatch is how many answers are dropped at once.
	dropBatch = 256

	keepSize = 8 // of the milliseconds before a tag and an answer
)

// ErrURL means that a URL names no Redis. It never repeats a password.
var ErrURL = redisclient.ErrURL

// RedisOptions are the options of a Redis.
type RedisOptions struct {
	// URL is redis://user:password@host:port/db, rediss:// for TLS, unix:///path?db=0,
	// or redis://a:6379,b:6379?cluster=true. Its parameters are those of go-redis.
	URL string

	// Prefix begins every key, so that several installations can share a Redis; ""
	// means DefaultPrefix.
	Prefix string

	// Timeout bounds each Get and each Put; 0 means DefaultTimeout. A Redis that did
	// not answer in time is not asked again for a second.
	Timeout time.Duration

	Log *slog.Logger // nil discards
}

// A Redis is a Cache in Redis (6.2 or newer), for any number of replicas of this
// program. Answers are strings that expire. Two sorted sets by expiry lead to them:
// one for each route, whose oldest answers make room when it is full, and one for each
// tag. In between, other processes may see one entry too many, or one too few.
type Redis struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	log     *slog.Logger

	mu         sync.Mutex
	restUntil  time.Time
	complained time.Time
}

var _ Cache = (*Redis)(nil)

// NewRedis returns a cache that connects when it is used. An error is ErrURL.
func NewRedis(opts RedisOptions) (*Redis, error) {
	client, err := redisclient.New(opts.URL, redisclient.Options{
		Timeout: max(opts.Timeout, dropTimeout),
		Retries: -1, // a model is asked instead
	})
	if err != nil {
		return nil, err
	}
	r := &Redis{client: client, prefix: opts.Prefix, timeout: opts.Timeout, log: opts.Log}
	if r.prefix == "" {
		r.prefix = DefaultPrefix
	}
	if r.timeout == 0 {
		r.timeout = DefaultTimeout
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r, nil
}

// Get implements Cache. The age is by the clock of Redis.
func (r *Redis) Get(ctx context.Context, key Key) (answer Answer, age time.Duration, ok bool) {
	if r.rests() {
		return Answer{}, 0, false
	}
	limited, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	pipe := r.client.Pipeline()
	value, left := pipe.Get(limited, r.answerKey(key)), pipe.PTTL(limited, r.answerKey(key))
	if _, err := pipe.Exec(limited); err != nil {
		if !errors.Is(err, redis.Nil) {
			r.failed(ctx, "get answer", err)
		}
		return Answer{}, 0, false
	}
	stored, err := value.Bytes()
	if err != nil || len(stored) < keepSize+len(Tag{}) || left.Val() <= 0 {
		return Answer{}, 0, false
	}
	keep := time.Duration(binary.BigEndian.Uint64(stored)) * time.Millisecond //nolint:gosec // we wrote it
	answer, ok = FromJSON(string(stored[keepSize+len(Tag{}):]))
	return answer, max(0, keep-left.Val()), ok
}

// Put implements Cache. When a route is full, the answers that expire first make room.
func (r *Redis) Put(ctx context.Context, key Key, answer Answer, terms Terms) {
	if answer == (Answer{}) || terms.Keep < time.Millisecond || r.rests() {
		return
	}
	limited, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := r.put(limited, key, answer, terms); err != nil {
		r.failed(ctx, "put answer", err)
	}
}

// Drop implements Cache.
func (r *Redis) Drop(ctx context.Context, tag Tag) error {
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	for {
		keys, err := r.client.ZRange(ctx, r.tagKey(tag), 0, dropBatch-1).Result()
		if err != nil {
			return fmt.Errorf("drop answers: redis: %w", err)
		}
		if len(keys) == 0 {
			return nil
		}
		members := make([]any, len(keys))
		for i, key := range keys {
			members[i] = key
			if err := dropScript.Run(ctx, r.client, []string{key}, tag[:]).Err(); err != nil {
				return fmt.Errorf("drop answer: redis: %w", err)
			}
		}
		if err := r.client.ZRem(ctx, r.tagKey(tag), members...).Err(); err != nil {
			return fmt.Errorf("drop answers: redis: %w", err)
		}
	}
}

// Close implements Cache.
func (r *Redis) Close() error { return r.client.Close() }

// Private

// indexScript notes an answer in a sorted set by when it expires, which lives as long
// as its last one, and returns those that are too many.
var indexScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local most, out = tonumber(ARGV[3]), {}
local over = redis.call('ZCARD', KEYS[1]) - most
if most > 0 and over > 0 then
  out = redis.call('ZRANGE', KEYS[1], 0, over - 1)
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, over - 1)
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], last[2])
return out`)

// dropScript removes an answer if it still has that tag.
var dropScript = redis.NewScript(`
if redis.call('GETRANGE', KEYS[1], 8, 39) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0`)

// put notes the tag before there is an answer, so that no crash leaves one that a Drop
// cannot find.
func (r *Redis) put(ctx context.Context, key Key, answer Answer, terms Terms) error {
	name, keep := r.answerKey(key), terms.Keep.Milliseconds()
	if terms.Tag != (Tag{}) {
		if err := indexScript.Run(ctx, r.client, []string{r.tagKey(terms.Tag)}, name, keep, 0).Err(); err != nil {
			return err
		}
	}
	stored := make([]byte, 0, keepSize+len(Tag{})+len(answer.body))
	stored = binary.BigEndian.AppendUint64(stored, uint64(keep)) //nolint:gosec // it is positive
	stored = append(append(stored, terms.Tag[:]...), answer.body...)
	if err := r.client.Set(ctx, name, stored, terms.Keep).Err(); err != nil {
		return err
	}
	if terms.MaxEntries <= 0 {
		return nil
	}
	surplus, err := indexScript.Run(ctx, r.client, []string{r.routeKey(terms.Route)}, name, keep, terms.MaxEntries).StringSlice()
	if err != nil || len(surplus) == 0 {
		return err
	}
	pipe := r.client.Pipeline() // in a cluster they are on several nodes
	for _, name := range surplus {
		pipe.Del(ctx, name)
	}
	_, err = pipe.Exec(ctx)
	return err
}

func (r *Redis) answerKey(key Key) string { return r.prefix + ":answer:" + hex.EncodeToString(key[:]) }

func (r *Redis) tagKey(tag Tag) string { return r.prefix + ":answers:of:" + hex.EncodeToString(tag[:]) }

func (r *Redis) routeKey(route string) string { return r.prefix + ":answers:by:" + route }

func (r *Redis) rests() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.restUntil)
}

// failed lets Redis rest, unless it is the caller who has left.
func (r *Redis) failed(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	r.mu.Lock()
	r.restUntil = now.Add(restFor)
	tell := now.Sub(r.complained) >= complainEvery
	if tell {
		r.complained = now
	}
	r.mu.Unlock()
	if tell {
		r.log.WarnContext(ctx, "the answer cache cannot be reached; calls go to the upstream", "at", what, "error", err)
	}
}
