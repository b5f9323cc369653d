// Package redisclient makes clients of Redis from URLs, the same for everything that
// uses Redis.
package redisclient

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultTimeout is for dialling, and for each read and write, if neither Options nor
// the URL say otherwise.
const DefaultTimeout = time.Second

const (
	retries     = 1 // what a restart of Redis leaves behind is a dead connection
	defaultPort = "6379"
)

// ErrURL means that a URL names no Redis. It never repeats the URL, which may hold
// a password.
var ErrURL = errors.New("invalid redis URL")

// Options of a Client. The URL's own parameters go before them.
type Options struct {
	Timeout time.Duration // 0: DefaultTimeout
}

// A Client is one of go-redis, which dials when it is used.
type Client struct {
	redis.UniversalClient
	Database int // of a Redis that has several
	Cluster  bool
}

// New returns a client of redis://user:password@host:port/db, rediss:// for TLS,
// unix:///path?db=0, or redis://a:6379,b:6379?cluster=true. Parameters are those of
// go-redis. It returns ErrURL.
func New(text string, opts Options) (*Client, error) {
	u, cluster, err := parse(text)
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(opts.Timeout, DefaultTimeout)
	limit := func(durations ...*time.Duration) {
		for _, d := range durations {
			*d = cmp.Or(*d, timeout)
		}
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if cluster {
		o, err := redis.ParseClusterURL(u)
		if err != nil {
			return nil, malformed()
		}
		limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.DialerRetries = 1
		o.Protocol = cmp.Or(o.Protocol, 2)
		o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, quiet
		return &Client{redis.NewClusterClient(o), 0, true}, nil
	}
	o, err := redis.ParseURL(u)
	if err != nil {
		return nil, malformed()
	}
	limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	o.DialerRetries = 1
	o.MaxRetries = cmp.Or(o.MaxRetries, retries)
	o.Protocol = cmp.Or(o.Protocol, 2)
	o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, quiet
	return &Client{redis.NewClient(o), o.DB, false}, nil
}

// Private

func malformed() error {
	return fmt.Errorf("%w: want redis://user:password@host:port/db with go-redis' parameters, "+
		"and characters such as / ? # @ in the password escaped", ErrURL)
}

// parse translates several hosts, and whether they are a cluster, to what go-redis
// knows.
func parse(text string) (_ string, cluster bool, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", false, malformed()
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	hosts := strings.Split(rest[at:end], ",")
	u, err := url.Parse(scheme + "://" + rest[:at] + hosts[0] + rest[end:])
	if err != nil || u.Fragment != "" {
		return "", false, malformed()
	}
	q := u.Query()
	if value := q.Get("cluster"); value != "" {
		if cluster, err = strconv.ParseBool(value); err != nil {
			return "", false, fmt.Errorf("%w: cluster must be true or false", ErrURL)
		}
	}
	q.Del("cluster")
	if !cluster && len(hosts) > 1 {
		return "", false, fmt.Errorf("%w: several hosts need ?cluster=true", ErrURL)
	}
	for _, host := range hosts[1:] {
		if !strings.Contains(host, ":") {
			host += ":" + defaultPort
		}
		q.Add("addr", host)
	}
	u.RawQuery = q.Encode()
	return u.String(), cluster, nil
}
