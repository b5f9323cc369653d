package redisledger

import (
	"log/slog"
	"time"

	"mnemo/internal/redisclient"
)

// Defaults of Options and of what a URL does not say.
const (
	DefaultPrefix      = "mnemo"
	DefaultDialTimeout = redisclient.DialTimeout
	DefaultTimeout     = 10 * time.Second // of one read or write
)

// ErrURL means that a URL names no Redis. It never repeats a password.
var ErrURL = redisclient.ErrURL

// Options of a Store. Only URL is needed.
type Options struct {
	// URL is redis://user:password@host:port/db, rediss:// for TLS, unix:///path?db=0,
	// or redis://a:6379,b:6379?cluster=true. Its parameters are those of go-redis.
	URL string

	// Keep is how long calls are kept. Rolling up removes them; where nobody rolls up any
	// more, they expire two days later, and only their sums stay. 0: they do not expire.
	Keep time.Duration

	Prefix string       // of every key; "": DefaultPrefix
	Log    *slog.Logger // nil discards
}
