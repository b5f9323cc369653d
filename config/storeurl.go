package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// A StoreURL says where sessions live: sqlite:path, redis://host:port/db,
// rediss://… for TLS, redis://a,b,c?cluster=true, or postgres://host:port/database.
// It may hold a password, which it shows only to Reveal.
type StoreURL struct{ masked }

// Scheme is sqlite, redis, rediss, postgres or postgresql.
func (u StoreURL) Scheme() string {
	scheme, _, _ := strings.Cut(u.text, ":")
	return scheme
}

// SQLitePath is the path of the database file, "" if the store is another.
func (u StoreURL) SQLitePath() string {
	path, found := strings.CutPrefix(u.text, sqlitePrefix)
	if !found {
		return ""
	}
	return path
}

// UnmarshalText reads a URL. Its errors never quote it.
func (u *StoreURL) UnmarshalText(text []byte) error {
	scheme, rest, found := strings.Cut(string(text), ":")
	var err error
	switch {
	case found && scheme == "sqlite":
		if rest == "" {
			err = errors.New("must name a file, such as sqlite:mnemo.db")
		}
	case found && (scheme == "redis" || scheme == "rediss"):
		err = checkRedis(rest)
	case found && (scheme == "postgres" || scheme == "postgresql"):
		err = checkPostgres(string(text))
	default:
		err = errors.New("must begin with sqlite:, redis://, rediss:// or postgres://")
	}
	if err == nil {
		u.masked = masked{string(text), withoutSecrets(string(text))}
	}
	return err
}

// Private

const (
	sqlitePrefix     = "sqlite:"
	clusterParameter = "cluster"
)

var errRedisURL = errors.New("must look like redis://[user:password@]host[:port][/db]; " +
	"characters such as / ? # @ in a password are written as %2F %3F %23 %40")

var errPostgresURL = errors.New("must look like postgres://[user:password@]host[:port]/database; " +
	"characters such as / ? # @ in a password are written as %2F %3F %23 %40")

// withoutSecrets is a URL with *** for its user and password and for the values of
// parameters.
func withoutSecrets(text string) string {
	scheme, rest, network := strings.Cut(text, "://")
	if !network {
		return text
	}
	user := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = hidden+"@", rest[at+1:]
	}
	place, query, found := strings.Cut(rest, "?")
	if !found {
		return scheme + "://" + user + place
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, _, found := strings.Cut(pair, "="); found && name != clusterParameter {
			pairs[i] = name + "=" + hidden
		}
	}
	return scheme + "://" + user + place + "?" + strings.Join(pairs, "&")
}

// checkPostgres checks the form. Hosts may be a list; the driver reads the rest.
func checkPostgres(text string) error {
	_, rest, found := strings.Cut(text, "://")
	if !found || strings.ContainsRune(rest, '#') {
		return errPostgresURL
	}
	authority, _, _ := strings.Cut(rest, "?")
	authority, _, _ = strings.Cut(authority, "/")
	for host := range strings.SplitSeq(authority, ",") {
		if _, err := url.Parse("postgres://" + host); err != nil {
			return errPostgresURL
		}
	}
	if _, err := url.Parse("postgres://" + strings.TrimPrefix(rest, authority)); err != nil {
		return errPostgresURL
	}
	return nil
}

// checkRedis checks what follows the scheme. net/url reads no list of hosts, so
// each is given to it alone.
func checkRedis(rest string) error {
	rest, found := strings.CutPrefix(rest, "//")
	if !found || strings.ContainsRune(rest, '#') {
		return errRedisURL
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at+1], authority[at+1:]
	}
	list := strings.Split(hosts, ",")
	var query url.Values
	for _, host := range list {
		parsed, err := url.Parse("redis://" + user + host + tail)
		if err != nil || parsed.Hostname() == "" {
			return errRedisURL
		}
		if db := strings.TrimPrefix(parsed.Path, "/"); db != "" {
			if n, err := strconv.Atoi(db); err != nil || n < 0 {
				return errors.New("must name a database by its number, such as /0")
			}
		}
		if query, err = url.ParseQuery(parsed.RawQuery); err != nil {
			return errRedisURL
		}
	}
	cluster := query.Get(clusterParameter)
	if cluster != "" && cluster != "true" && cluster != "false" {
		return errors.New("takes cluster=true or cluster=false")
	}
	if len(list) > 1 && cluster != "true" {
		return errors.New("lists several hosts, which needs ?cluster=true")
	}
	return nil
}
