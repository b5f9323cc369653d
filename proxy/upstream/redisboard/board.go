// Package redisboard lets replicas tell each other over Redis what their breakers
// find.
//
// A finding is published on the channel <prefix>:board:<database>, and written to
// the hash <prefix>:board for those who come later, until it is over; the hash
// expires with its last finding. The clock is that of Redis. Redis 6.2 or newer
// will do, also as a cluster; its user needs EVAL, the key and the channel.
//
// Nobody waits for Redis. What cannot be told is dropped; then each replica finds
// out for itself.
package redisboard

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/internal/redisclient"
	"mnemo/proxy/upstream"
)

const (
	// DefaultPrefix begins the key and the channel if none is set.
	DefaultPrefix = "mnemo"

	maxOpen  = 4096            // findings that are written down
	patience = 2 * time.Second // with Redis
)

// ErrURL means that a URL names no Redis. It never repeats a password.
var ErrURL = redisclient.ErrURL

// Options of a Board.
type Options struct {
	// URL is redis://user:password@host:port/db, rediss:// for TLS, unix:///path?db=0,
	// or redis://a:6379,b:6379?cluster=true. Its parameters are those of go-redis.
	URL string

	// Prefix begins the key and the channel, so that several installations can share
	// a Redis; "" means DefaultPrefix.
	Prefix string

	Log *slog.Logger // nil discards
}

// A Board is the place of one replica on the board that all share.
type Board struct {
	client       redis.UniversalClient
	subscription *redis.PubSub
	key, channel string
	self         string
	log          *slog.Logger
	waiting      chan finding
	again        chan struct{} // somebody wants to know what was told before
	ctx          context.Context
	cancel       context.CancelFunc
	running      sync.WaitGroup
	once         sync.Once
	dropped      atomic.Uint64

	mu        sync.Mutex
	listeners map[int]func(upstream, model string, d time.Duration)
	last      int
	quiet     time.Time // nothing is complained of before
	lost      bool      // something was, and not yet that it works again
}

var _ upstream.Board = (*Board)(nil)

// Open returns a board. An error is ErrURL. A Redis that does not answer is warned of in
// the log, and used as soon as it does.
func Open(ctx context.Context, opts Options) (*Board, error) {
	client, err := redisclient.New(opts.URL, redisclient.Options{})
	if err != nil {
		return nil, err
	}
	if opts.Prefix == "" {
		opts.Prefix = DefaultPrefix
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	b := &Board{
		client:    client,
		key:       opts.Prefix + ":board",
		channel:   opts.Prefix + ":board:" + strconv.Itoa(client.Database), // channels are the same in all databases
		self:      rand.Text(),
		log:       opts.Log,
		waiting:   make(chan finding, maxWaiting),
		again:     make(chan struct{}, 1),
		listeners: map[int]func(string, string, time.Duration){},
	}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := client.Ping(limited).Err(); err != nil {
		b.complain(err)
	}
	b.subscription = client.Subscribe(limited, b.channel) // also when there is no Redis yet
	b.running.Go(b.tellAll)
	b.running.Go(b.hearAll)
	return b, nil
}

// Opened implements upstream.Board.
func (b *Board) Opened(upstream, model string, d time.Duration) {
	b.enqueue(finding{upstream: upstream, model: model, open: true, until: time.Now().Add(d)})
}

// Closed implements upstream.Board.
func (b *Board) Closed(upstream, model string) {
	b.enqueue(finding{upstream: upstream, model: model})
}

// Listen implements upstream.Board.
func (b *Board) Listen(f func(upstream, model string, d time.Duration)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	id := b.last
	b.listeners[id] = f
	b.reread()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.listeners, id)
	}
}

// Dropped returns how many findings could not be told to others.
func (b *Board) Dropped() uint64 { return b.dropped.Load() }

// Close leaves the board. Nobody is told or heard any more. It waits for what is
// under way with Redis, which is bounded.
func (b *Board) Close() (err error) {
	b.once.Do(func() {
		b.cancel()
		err = b.subscription.Close()
		b.running.Wait()
		err = errors.Join(err, b.client.Close())
	})
	return err
}
