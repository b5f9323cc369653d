package pgstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Defaults of Options and of what a URL does not say.
const (
	DefaultSchema          = "mnemo"
	DefaultMaxSessionBytes = 64 << 20
	DefaultSweepInterval   = time.Minute
	DefaultTimeout         = 10 * time.Second

	DefaultDialTimeout = 2 * time.Second // until a connection can be used
	DefaultConns       = 16              // at most, of one Store
)

// ErrURL means that a URL names no PostgreSQL database. It never repeats the URL,
// which may hold a password.
var ErrURL = errors.New("invalid postgres URL")

// Options of a Store. Only URL is needed.
type Options struct {
	// URL is postgres://user:password@host:port/database, or postgresql://. Several
	// hosts stand as host:port,host:port. Its parameters are those of libpq that pgx
	// knows, such as sslmode=verify-full and connect_timeout=2, of pgx itself, such as
	// pool_max_conns=32, and any setting of the server. What it leaves open, the
	// variables PGPASSWORD, PGSSLMODE and so on may say. search_path names the one
	// schema in which the tables are; DefaultSchema without it.
	URL string

	TTL             time.Duration    // after the last turn; 0: sessions do not expire
	MaxSessionBytes int64            // of a session's messages; 0: DefaultMaxSessionBytes
	CacheBytes      int64            // of decoded turns; see memory.NewCache
	SweepInterval   time.Duration    // between removals of expired sessions; 0: DefaultSweepInterval
	Timeout         time.Duration    // of one call; 0: DefaultTimeout
	Now             func() time.Time // nil: time.Now
	Log             *slog.Logger     // nil: nothing is logged
}

// Private

// schemaName is what a schema may be called: it stands in the text of statements.
var schemaName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// A target is where a URL leads.
type target struct {
	config    *pgxpool.Config
	hosts     string // for errors
	encrypted bool   // by TLS, or not at all
	schema    string
}

// parse reads a URL. An error must not repeat a part of it that may belong to a
// password with characters that had to be escaped, so pgx sees only what net/url
// understands, and its errors lose the URL.
func parse(text string) (target, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return target{}, fmt.Errorf("%w: it must begin with postgres://", ErrURL)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@') + 1
	first, others, _ := strings.Cut(authority[at:], ",")
	u, err := url.Parse(scheme + "://" + authority[:at] + first + tail)
	if err != nil || u.Fragment != "" || strings.ContainsRune(tail, '@') {
		return target{}, fmt.Errorf("%w: want postgres://user:password@host:port/database, "+
			"with characters such as / ? # @ in the password escaped", ErrURL)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return target{}, fmt.Errorf("%w: its parameters cannot be read", ErrURL)
	}
	t := target{schema: DefaultSchema}
	if q.Has("search_path") {
		t.schema = q.Get("search_path")
	}
	if !schemaName.MatchString(t.schema) {
		return target{}, fmt.Errorf("%w: search_path must be one plain name", ErrURL)
	}
	q.Del("search_path")
	if !q.Has("pool_max_conns") {
		q.Set("pool_max_conns", strconv.Itoa(DefaultConns))
	}
	u.RawQuery = q.Encode()
	if others != "" {
		u.Host += "," + others
	}
	if t.config, err = pgxpool.ParseConfig(u.String()); err != nil {
		return target{}, fmt.Errorf("%w: %s", ErrURL, cause(err, u))
	}
	conn := &t.config.ConnConfig.Config
	conn.ConnectTimeout = cmp.Or(conn.ConnectTimeout, DefaultDialTimeout)
	t.hosts = hosts(conn)
	t.encrypted = conn.TLSConfig != nil && !slices.ContainsFunc(conn.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil })
	return t, nil
}

// cause is what is wrong with a URL, without the URL.
func cause(err error, u *url.URL) string {
	var of *pgconn.ParseConfigError
	if errors.As(err, &of) && of.Unwrap() != nil {
		err = of.Unwrap()
	} else if errors.As(err, &of) {
		return "pgx cannot read it"
	}
	said := err.Error()
	password, _ := u.User.Password()
	for _, secret := range append(slices.Concat(u.Query()["password"], u.Query()["sslpassword"]), password) {
		if secret != "" && strings.Contains(said, secret) {
			return "pgx cannot read it"
		}
	}
	return said
}

func hosts(config *pgconn.Config) string {
	all := []string{address(config.Host, config.Port)}
	for _, f := range config.Fallbacks {
		if a := address(f.Host, f.Port); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return strings.Join(all, ",")
}

func address(host string, port uint16) string {
	if strings.HasPrefix(host, "/") { // the folder of a unix socket
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
