package redisclient

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPort = "6379"

	// maxNumber bounds every number of a URL. go-redis allocates its pools at once.
	maxNumber = 1 << 20
)

// Private

var errForm = fmt.Errorf("%w: want redis://user:password@host:port/db, "+
	"with characters such as / ? # @ in the password escaped", ErrURL)

// parse takes apart what net/url and go-redis do not know: several hosts, and whether
// they are a cluster. The rest of the URL is for go-redis.
func parse(text string) (rest string, cluster bool, err error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || strings.ContainsAny(scheme, ":/?#") {
		return "", false, fmt.Errorf("%w: it has no scheme", ErrURL)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@') + 1
	hosts := strings.Split(authority[at:], ",")
	u, err := url.Parse(scheme + "://" + authority[:at] + hosts[0] + tail)
	if err != nil || u.Fragment != "" || strings.ContainsRune(tail, '@') { // behind the @ of a password there is no other
		return "", false, errForm
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", false, errForm
	}
	for name, values := range q {
		for _, value := range values {
			if n, err := strconv.Atoi(value); err == nil && n > maxNumber {
				return "", false, fmt.Errorf("%w: %s is more than %d", ErrURL, name, maxNumber)
			}
		}
	}
	if value := q.Get("cluster"); value != "" {
		if cluster, err = strconv.ParseBool(value); err != nil {
			return "", false, fmt.Errorf("%w: cluster must be true or false", ErrURL)
		}
	}
	q.Del("cluster")
	switch database := strings.Trim(u.Path, "/"); {
	case !cluster && len(hosts) > 1:
		return "", false, fmt.Errorf("%w: several hosts need ?cluster=true", ErrURL)
	case cluster && database != "" && database != "0":
		return "", false, fmt.Errorf("%w: a cluster has database 0 only", ErrURL)
	}
	for _, host := range hosts[1:] {
		if bracket := strings.LastIndexByte(host, ']'); !strings.Contains(host[bracket+1:], ":") { // [::1] is a host without a port
			host += ":" + defaultPort
		}
		q.Add("addr", host)
	}
	u.RawQuery = q.Encode()
	return u.String(), cluster, nil
}
