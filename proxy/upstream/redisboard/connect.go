package redisboard

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

const (
	timeout     = time.Second // for dialling, and for each read and write, if the URL does not say
	retries     = 1           // what a restart of Redis leaves behind is a dead connection
	defaultPort = "6379"
)

// ErrURL means that a URL names no Redis. It never repeats the URL, which may hold
// a password.
var ErrURL = errors.New("invalid redis URL")

// Private

// connect makes a client, which dials when it is used, and says which of the
// databases it is in.
func connect(text string) (client redis.UniversalClient, database int, err error) {
	u, cluster, err := parse(text)
	if err != nil {
		return nil, 0, err
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if cluster {
		o, err := redis.ParseClusterURL(u)
		if err != nil {
			return nil, 0, malformed()
		}
		limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.DialerRetries = 1
		o.Protocol = cmp.Or(o.Protocol, 2)
		o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, quiet
		return redis.NewClusterClient(o), 0, nil
	}
	o, err := redis.ParseURL(u)
	if err != nil {
		return nil, 0, malformed()
	}
	limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
	o.DialerRetries = 1
	o.MaxRetries = cmp.Or(o.MaxRetries, retries)
	o.Protocol = cmp.Or(o.Protocol, 2)
	o.ContextTimeoutEnabled, o.MaintNotificationsConfig = true, quiet
	return redis.NewClient(o), o.DB, nil
}

func limit(durations ...*time.Duration) {
	for _, d := range durations {
		*d = cmp.Or(*d, timeout)
	}
}

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
