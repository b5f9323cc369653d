package redisledger

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
	DefaultPrefix      = "mnemo"
	DefaultDialTimeout = time.Second
	DefaultTimeout     = 10 * time.Second // of one read or write

	defaultPort = "6379"
)

// ErrURL means that a URL names no Redis. It never repeats the URL, which may hold a
// password.
var ErrURL = errors.New("invalid redis URL")

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

// Private

// connect makes a client, which dials when it is used.
func connect(text string) (client redis.UniversalClient, hosts string, err error) {
	u, addrs, cluster, err := parse(text)
	if err != nil {
		return nil, "", err
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if cluster {
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, "", fmt.Errorf("%w: go-redis cannot read it", ErrURL)
		}
		limits(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.Protocol, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = cmp.Or(o.Protocol, 2), true, quiet
		return redis.NewClusterClient(o), strings.Join(addrs, ","), nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, "", fmt.Errorf("%w: go-redis cannot read it", ErrURL)
	}
	limits(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	o.Protocol, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = cmp.Or(o.Protocol, 2), true, quiet
	return redis.NewClient(o), o.Addr, nil
}

// limits sets the timeouts that the URL left open.
func limits(dial, read, write, pool *time.Duration) {
	*dial = cmp.Or(*dial, DefaultDialTimeout)
	for _, t := range []*time.Duration{read, write, pool} {
		*t = cmp.Or(*t, DefaultTimeout)
	}
}

// parse takes apart what net/url and go-redis do not know: several hosts, and whether
// they are a cluster. Its errors tell nothing of the URL.
func parse(text string) (u *url.URL, addrs []string, cluster bool, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	addrs = strings.Split(rest[at:end], ",")
	u, uerr := url.Parse(scheme + "://" + rest[:at] + addrs[0] + rest[end:])
	if uerr != nil || u.Fragment != "" || strings.ContainsRune(rest[end:], '@') {
		return nil, nil, false, fmt.Errorf("%w: want redis://user:password@host:port/db, "+
			"with characters such as / ? # @ in the password escaped", ErrURL)
	}
	q := u.Query()
	if value := q.Get("cluster"); value != "" {
		if cluster, err = strconv.ParseBool(value); err != nil {
			return nil, nil, false, fmt.Errorf("%w: cluster must be true or false", ErrURL)
		}
	}
	if !cluster && len(addrs) > 1 {
		return nil, nil, false, fmt.Errorf("%w: several hosts need ?cluster=true", ErrURL)
	}
	q.Del("cluster")
	for i, addr := range addrs[1:] {
		if !strings.Contains(addr, ":") {
			addrs[i+1] = addr + ":" + defaultPort
		}
		q.Add("addr", addrs[i+1])
	}
	u.RawQuery = q.Encode()
	return u, addrs, cluster, nil
}
