// Package redisclient makes clients of Redis from URLs, the same for everything that
// uses Redis.
package redisclient

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// What holds if neither the URL nor Options say otherwise.
const (
	DialTimeout    = time.Second
	DefaultTimeout = time.Second
	DefaultRetries = 1 // what a restart of Redis leaves behind is a dead connection
)

// ErrURL means that a URL names no Redis. It never repeats what stands before an @,
// which may be a password.
var ErrURL = errors.New("invalid redis URL")

// Options of a Client. The URL's own parameters go before them.
type Options struct {
	// Timeout bounds each read and write, and the wait for a connection that is free;
	// 0 means DefaultTimeout.
	Timeout time.Duration

	// Retries is how often a call is repeated whose connection breaks; 0 means
	// DefaultRetries and -1 never. In a cluster, max_redirects of the URL bounds that.
	Retries int
}

// A Client is one of go-redis, with what its URL tells. Its calls end with their
// context.
type Client struct {
	redis.UniversalClient

	Hosts    string // host:port, several in a cluster, or the path of a socket; for errors
	Database int    // 0 in a cluster
	Cluster  bool

	// Bound is how long connecting and a call may take together. It is never less than
	// without the URL's parameters.
	Bound time.Duration
}

// New returns a client of redis://user:password@host:port/db, rediss:// for TLS,
// unix:///path?db=0, or redis://a:6379,b:6379?cluster=true. Other parameters are those
// of go-redis, such as read_timeout=5s, pool_size=20 and, for TLS, skip_verify=true. The
// client connects when it is used. An error is ErrURL.
func New(text string, opts Options) (*Client, error) {
	u, cluster, err := parse(text)
	if err != nil {
		return nil, err
	}
	opts.Timeout = cmp.Or(opts.Timeout, DefaultTimeout)
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if cluster {
		o, err := redis.ParseClusterURL(u)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrURL, err)
		}
		bound := opts.limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.PoolSize, o.MaxRetries, o.MaxRedirects = max(o.PoolSize, 0), max(o.MaxRetries, -1), max(o.MaxRedirects, -1)
		o.DialerRetries = cmp.Or(o.DialerRetries, 1)
		o.Protocol = cmp.Or(o.Protocol, 2)
		o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, quiet
		return &Client{UniversalClient: redis.NewClusterClient(o), Hosts: strings.Join(o.Addrs, ","), Cluster: true, Bound: bound}, nil
	}
	o, err := redis.ParseURL(u)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	bound := opts.limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	o.PoolSize = max(o.PoolSize, 0)                                            // go-redis panics
	o.MaxRetries = max(cmp.Or(o.MaxRetries, opts.Retries, DefaultRetries), -1) // go-redis would send nothing
	o.DialerRetries = 1
	o.Protocol = cmp.Or(o.Protocol, 2) // nothing is pushed to us
	o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, quiet
	return &Client{UniversalClient: redis.NewClient(o), Hosts: o.Addr, Database: o.DB, Bound: bound}, nil
}

// Private

// limit sets the timeouts that the URL left open.
func (o Options) limit(dial, read, write, pool *time.Duration) (bound time.Duration) {
	*dial = cmp.Or(*dial, DialTimeout)
	*read = cmp.Or(*read, o.Timeout)
	*write = cmp.Or(*write, o.Timeout)
	*pool = cmp.Or(*pool, o.Timeout)
	return max(*dial, DialTimeout) + max(*read, *write, o.Timeout)
}
