package pgledger

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Defaults of Options and of what a URL does not say.
const (
	DefaultSchema      = "mnemo"
	DefaultTimeout     = time.Minute
	DefaultDialTimeout = 2 * time.Second // until a connection can be used
	DefaultConns       = 4               // at most, of one Store
)

// ErrURL means that a URL names no PostgreSQL database. It never repeats the URL,
// which may hold a password.
var ErrURL = errors.New("invalid postgres URL")

// Options of a Store. Only URL is needed.
type Options struct {
	// URL is postgres://user:password@host:port/database. Its parameters are those of
	// libpq that pgx knows, those of pgx, and settings of the server; search_path names
	// the one schema in which the tables are, DefaultSchema without it.
	URL     string
	Timeout time.Duration // of one call; 0: DefaultTimeout
	Log     *slog.Logger  // nil: nothing is logged
}

// Private

// schemaName is what a schema may be called: it stands in the text of statements.
var schemaName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// A target is where a URL leads.
type target struct {
	config *pgxpool.Config
	hosts  string // for errors
	schema string
}

// parse reads a URL. pgx sees only what net/url understands, and of its errors only the
// cause is told: the rest may have a password with characters that had to be escaped.
func parse(text string) (target, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	at := strings.LastIndexByte(authority, '@') + 1
	first, others, _ := strings.Cut(authority[at:], ",")
	u, err := url.Parse(scheme + "://" + authority[:at] + first + tail)
	if err != nil || u.Fragment != "" || strings.ContainsRune(tail, '@') || scheme != "postgres" && scheme != "postgresql" {
		return target{}, fmt.Errorf("%w: want postgres://user:password@host:port/database, "+
			"with characters such as / ? # @ in the password escaped", ErrURL)
	}
	q := u.Query()
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
		return target{}, fmt.Errorf("%w: pgx cannot read it", ErrURL)
	}
	conn := &t.config.ConnConfig.Config
	conn.ConnectTimeout = cmp.Or(conn.ConnectTimeout, DefaultDialTimeout)
	t.hosts = hosts(conn)
	return t, nil
}

func hosts(config *pgconn.Config) string {
	all := []string{address(config.Host, config.Port)}
	for _, f := range config.Fallbacks {
		if a := address(f.Host, f.Port); a != all[len(all)-1] {
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
