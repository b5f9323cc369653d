package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/gofiber/fiber/v2"
	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
	"mnemo/proxy/apierror"
	"mnemo/proxy/manage"
)

// A commandLine is one use of the command line.
type commandLine struct {
	environ []string
	stdin   io.Reader
	stdout  io.Writer // nil: it is returned
}

// commands are those of these tests.
type commands struct {
	Sessions sessionsCmd `cmd:""`
	Prices   pricesCmd   `cmd:""`
}

// run runs a command and returns what it says and its error.
func (l commandLine) run(ctx context.Context, t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{environ: l.environ, stdin: l.stdin, stdout: &out, stderr: &errs}
	if p.stdin == nil {
		p.stdin = strings.NewReader("")
	}
	if l.stdout != nil {
		p.stdout = l.stdout
	}
	parser, err := kong.New(new(commands), kong.Vars{"default_file": "mnemo.yaml"}, kong.Writers(&out, &errs),
		kong.Exit(func(int) {}), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(p))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return "", "", fmt.Errorf("usage: %w", err)
	}
	err = command.Run()
	return out.String(), errs.String(), err
}

// saveFile makes a file in the working directory.
func saveFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	adaKey   = "sk-ada"
	adminKey = "sk-admin"
)

// An interception is asked about every request; true: it has answered.
type interception func(w http.ResponseWriter, r *http.Request) bool

// A keeper is a management API over a store, with a network between it and the
// commands.
type keeper struct {
	url     string
	store   *sqlitestore.Store
	between atomic.Pointer[interception]
	rebuild func(ctx context.Context, key memory.Key) error
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Options{Path: filepath.Join(t.TempDir(), "m.db"), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{store: store}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, StreamRequestBody: true, BodyLimit: 1, DisableDefaultContentType: true})
	manage.Register(app, manage.Options{
		Store:    store,
		Identify: identify,
		Rebuild: func(ctx context.Context, _ manage.Caller, key memory.Key) error {
			if k.rebuild == nil {
				return &apierror.Error{Status: http.StatusNotImplemented, Type: apierror.TypeServer, Code: "not_configured", Message: "summaries are switched off"}
			}
			return k.rebuild(ctx, key)
		},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener) }()
	transport := &http.Transport{}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: listener.Addr().String()}) },
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}
	network := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if between := k.between.Load(); between == nil || !(*between)(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		network.Close()
		transport.CloseIdleConnections()
		if err := errors.Join(app.Shutdown(), <-ended, store.Close()); err != nil {
			t.Error(err)
		}
	})
	k.url = network.URL
	return k
}

// intercept puts something between the commands and the API; nil: nothing.
func (k *keeper) intercept(between interception) {
	if between == nil {
		k.between.Store(nil)
		return
	}
	k.between.Store(&between)
}

// sessions runs a command of Ada's.
func (k *keeper) sessions(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return k.as(adaKey).run(t.Context(), t, append([]string{"sessions"}, args...)...)
}

// does is sessions for a command that must succeed.
func (k *keeper) does(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := k.sessions(t, args...)
	if err != nil || errs != "" {
		t.Fatalf("%q: %v, %s", args, err, errs)
	}
	return out
}

// as is the command line of somebody.
func (k *keeper) as(key string) commandLine {
	return commandLine{environ: []string{"MNEMO_SERVER=" + k.url, "MNEMO_KEY=" + key}}
}

// keeps makes a session of Ada's with a turn for every two texts, which ended as
// long ago as idle says.
func (k *keeper) keeps(t *testing.T, id string, idle time.Duration, texts ...string) {
	t.Helper()
	k.keepsOf(t, adas(id), idle, texts...)
}

func (k *keeper) keepsOf(t *testing.T, key memory.Key, idle time.Duration, texts ...string) {
	t.Helper()
	at := time.Now().Add(-idle).Truncate(time.Millisecond)
	s := memory.Snapshot{Title: texts[0], Created: at, Updated: at}
	for i := 0; i+1 < len(texts); i += 2 {
		s.Turns = append(s.Turns, turnOf(t, at, texts[i], texts[i+1]))
		s.Turns[i/2].Seq = int64(i/2 + 1)
	}
	if err := errors.Join(s.Settle(), k.store.Import(t.Context(), key, &s)); err != nil {
		t.Fatal(err)
	}
}

// goesOn adds a turn to a session of Ada's.
func (k *keeper) goesOn(t *testing.T, id string) {
	t.Helper()
	if _, err := k.store.Append(t.Context(), adas(id), turnOf(t, time.Now(), "And?", "Nothing.")); err != nil {
		t.Error(err)
	}
}

// has reports whether there is a session of Ada's.
func (k *keeper) has(t *testing.T, id string) bool {
	t.Helper()
	_, err := k.store.Info(t.Context(), adas(id))
	if err != nil && !errors.Is(err, memory.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func turnOf(t *testing.T, at time.Time, question, answer string) memory.Turn {
	t.Helper()
	turn := memory.Turn{ID: memory.NewTurnID(), At: at, Model: "gpt-4o-mini", Usage: memory.Usage{Input: 100, CachedInput: 20, Output: 10, Cost: 1_234_500, Priced: true}}
	for _, said := range [...]struct{ role, text string }{{memory.RoleUser, question}, {memory.RoleAssistant, answer}} {
		m, err := memory.ParseMessage(fmt.Sprintf(`{"role":%q,"content":%s}`, said.role, gjson.AppendJSONString(nil, said.text)))
		if err != nil {
			t.Fatal(err)
		}
		m.Tokens = 5
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

func identify(h *fasthttp.RequestHeader) (manage.Caller, error) {
	switch key := strings.TrimPrefix(string(h.Peek("Authorization")), "Bearer "); key {
	case adaKey:
		return manage.Caller{Tenant: "ada", Name: "ada"}, nil
	case adminKey:
		return manage.Caller{Tenant: "office", Name: "admin", Admin: true}, nil
	case "":
		return manage.Caller{}, nil
	}
	return manage.Caller{}, &apierror.Error{Status: http.StatusUnauthorized, Type: apierror.TypeAuthentication, Code: "invalid_api_key", Message: "this key is not known"}
}

// adas is the key of a session of Ada's.
func adas(id string) memory.Key { return memory.Key{Tenant: "ada", Session: id} }
