package answercache

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dialTimeout bounds connecting, which goes on when the call that asked for it has
// given up.
const dialTimeout = time.Second

// ErrURL means that a URL names no Redis. It never repeats the URL, which may hold a
// password.
var ErrURL = errors.New("invalid redis URL")

// Private

// connect makes a client, which dials when it is used. Nothing is tried twice: a
// model is asked instead.
func connect(text string) (redis.UniversalClient, error) {
	first, others, err := splitHosts(text)
	if err != nil {
		return nil, err
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if others == nil {
		o, err := redis.ParseURL(first)
		if err != nil {
			return nil, ErrURL
		}
		o.MaxRetries, o.DialerRetries, o.DialTimeout = -1, 1, dialTimeout
		o.Protocol, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = 2, true, quiet
		return redis.NewClient(o), nil
	}
	o, err := redis.ParseClusterURL(first)
	if err != nil {
		return nil, ErrURL
	}
	o.Addrs = append(o.Addrs, others...)
	o.MaxRetries, o.DialerRetries, o.DialTimeout = -1, 1, dialTimeout
	o.Protocol, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = 2, true, quiet
	return redis.NewClusterClient(o), nil
}

// splitHosts takes apart what go-redis does not know: several hosts, and whether they
// are a cluster; only then others is not nil.
func splitHosts(text string) (first string, others []string, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", nil, ErrURL
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	hosts := strings.Split(rest[at:end], ",")
	u, err := url.Parse(scheme + "://" + rest[:at] + hosts[0] + rest[end:])
	if err != nil {
		return "", nil, ErrURL
	}
	query := u.Query()
	cluster := query.Get("cluster") == "true"
	query.Del("cluster")
	u.RawQuery = query.Encode()
	if !cluster {
		if len(hosts) > 1 {
			return "", nil, fmt.Errorf("%w: several hosts need ?cluster=true", ErrURL)
		}
		return u.String(), nil, nil
	}
	return u.String(), append([]string{}, hosts[1:]...), nil
}
