package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Defaults of Options and of what a URL does not say.
const (
	DefaultPrefix          = "mnemo"
	DefaultMaxSessionBytes = 64 << 20

	DefaultDialTimeout = time.Second
	DefaultTimeout     = 3 * time.Second // of one read or write
	DefaultRetries     = 1

	defaultPort = "6379"
)

// ErrURL means that a URL names no Redis. It never repeats the URL, which may
// hold a password.
var ErrURL = errors.New("invalid redis URL")

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

// Private

// A target is where a URL leads.
type target struct {
	client  redis.UniversalClient
	hosts   string
	cluster bool
	bound   time.Duration // of one call, from dialling to the last retry
}

// connect makes a client, which dials when it is used.
func connect(text string) (target, error) {
	u, hosts, cluster, err := parse(text)
	if err != nil {
		return target{}, err
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if cluster {
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return target{}, fmt.Errorf("%w: %w", ErrURL, err)
		}
		bound := limits(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.DialerRetries = cmp.Or(o.DialerRetries, 1)
		o.Protocol = cmp.Or(o.Protocol, 2)
		o.ContextTimeoutEnabled = true
		o.MaintNotificationsConfig = quiet
		return target{client: redis.NewClusterClient(o), hosts: hosts, cluster: true, bound: bound}, nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return target{}, fmt.Errorf("%w: %w", ErrURL, err)
	}
	bound := limits(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	o.MaxRetries = cmp.Or(o.MaxRetries, DefaultRetries)
	o.DialerRetries = 1
	o.Protocol = cmp.Or(o.Protocol, 2) // nothing is pushed to us
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = quiet
	return target{client: redis.NewClient(o), hosts: o.Addr, bound: bound}, nil
}

// limits sets the timeouts that the URL left open.
func limits(dial, read, write, pool *time.Duration) (bound time.Duration) {
	*dial = cmp.Or(*dial, DefaultDialTimeout)
	*read = cmp.Or(*read, DefaultTimeout)
	*write = cmp.Or(*write, DefaultTimeout)
	*pool = cmp.Or(*pool, DefaultTimeout)
	return max(*dial, DefaultDialTimeout) + max(*read, *write, DefaultTimeout)
}

// parse takes apart what net/url and go-redis do not know: several hosts, and
// whether they are a cluster. An error must not repeat a part of the URL that may
// belong to a password with characters that had to be escaped.
func parse(text string) (u *url.URL, hosts string, cluster bool, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, "", false, fmt.Errorf("%w: it has no scheme", ErrURL)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@') + 1
	addrs := strings.Split(authority[at:], ",")
	u, uerr := url.Parse(scheme + "://" + authority[:at] + addrs[0] + tail)
	if uerr != nil || u.Fragment != "" || strings.ContainsRune(tail, '@') {
		return nil, "", false, fmt.Errorf("%w: want redis://user:password@host:port/db, "+
			"with characters such as / ? # @ in the password escaped", ErrURL)
	}
	q := u.Query()
	if value := q.Get("cluster"); value != "" {
		if cluster, err = strconv.ParseBool(value); err != nil {
			return nil, "", false, fmt.Errorf("%w: cluster must be true or false", ErrURL)
		}
	}
	q.Del("cluster")
	switch {
	case !cluster && len(addrs) > 1:
		return nil, "", false, fmt.Errorf("%w: several hosts need ?cluster=true", ErrURL)
	case cluster && strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "0":
		return nil, "", false, fmt.Errorf("%w: a cluster has database 0 only", ErrURL)
	}
	for i, addr := range addrs[1:] {
		if !strings.Contains(addr, ":") {
			addrs[i+1] = addr + ":" + defaultPort
		}
		q.Add("addr", addrs[i+1])
	}
	u.RawQuery = q.Encode()
	return u, strings.Join(addrs, ","), cluster, nil
}
