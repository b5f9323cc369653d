package redisstore

import (
	"log/slog"
	"time"

	"mnemo/internal/redisclient"
)

// Defaults of Options and of what a URL does not say.
const (
	DefaultPrefix          = "mnemo"
	DefaultMaxSessionBytes = 64 << 20

	DefaultDialTimeout = redisclient.DialTimeout
	DefaultTimeout     = 3 * time.Second // of one read or write
	DefaultRetries     = redisclient.DefaultRetries
)

// ErrURL means that a URL names no Redis. It never repeats a password.
var ErrURL = redisclient.ErrURL

// Options of a Store.
type Options struct {
	// URL is redis://user:password@host:port/db, rediss:// for TLS, unix:///path?db=0,
	// or redis://a:6379,b:6379?cluster=true. Its parameters are those of go-redis,
	// such as read_timeout=5s and pool_size=20.
	URL string

	// TTL is how long a session lives after its last turn; 0 means for ever.
	TTL time.Duration

	// MaxSessionBytes bounds the messages of a session; 0 means DefaultMaxSessionBytes.
	MaxSessionBytes int64

	// CacheBytes bounds the cached ends of sessions; 0 means memory.DefaultCacheBytes
	// and a negative number no cache.
	CacheBytes int

	// Prefix begins every key, so that several installations can share a Redis; ""
	// means DefaultPrefix.
	Prefix string

	Log *slog.Logger // nil discards
}
