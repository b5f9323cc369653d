package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
	"mnemo/proxy/apierror"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// They end some seconds after their server, and never.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

var today = time.Date(2026, 3, 1, 9, 30, 0, 123_456_789, time.UTC)

// Keys that the rig knows, by tenant and rights.
const (
	adas = "key-of-ada"
	bobs = "key-of-bob"
	root = "key-of-root"
)

// A rig is the API over HTTP, on a store of its own.
type rig struct {
	t      *testing.T
	base   string
	store  memory.Store
	log    *lockedBuffer
	client *http.Client
	key    string // that requests are made with; "": none
}

// newRig serves the API; change may alter its options.
func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	store, err := sqlitestore.Open(context.Background(), sqlitestore.Options{Path: filepath.Join(t.TempDir(), "m.db")})
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	options := Options{
		Store: store, Identify: identify, Now: func() time.Time { return today },
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	if change != nil {
		change(&options)
	}
	app := fiber.New(fiber.Config{BodyLimit: 1, StreamRequestBody: true, DisablePreParseMultipartForm: true, DisableStartupMessage: true})
	Register(app, options)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { app.Listener(listener) })
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		app.ShutdownWithTimeout(5 * time.Second)
		serving.Wait()
		store.Close()
	})
	return &rig{t: t, base: "http://" + listener.Addr().String(), store: store, log: log, client: client, key: adas}
}

func identify(h *fasthttp.RequestHeader) (Caller, error) {
	switch key := strings.TrimPrefix(string(h.Peek("Authorization")), "Bearer "); key {
	case "":
		return Caller{}, nil
	case adas:
		return Caller{Tenant: "ada", Name: "app"}, nil
	case bobs:
		return Caller{Tenant: "bob"}, nil
	case root:
		return Caller{Tenant: "ops", Name: "console", Admin: true}, nil
	}
	return Caller{}, &apierror.Error{Status: http.StatusUnauthorized, Type: apierror.TypeAuthentication, Code: "invalid_api_key", Message: "unknown key"}
}

// as is the rig with another key.
func (r *rig) as(key string) *rig {
	other := *r
	other.key = key
	return &other
}

// An answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request and checks that the document describes the answer. header are
// names and values in turn.
func (r *rig) do(method, path, body string, header ...string) answer {
	r.t.Helper()
	request, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.key != "" {
		request.Header.Set("Authorization", "Bearer "+r.key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := r.client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	described(r.t, request, response, data)
	return answer{response.StatusCode, response.Header, string(data)}
}

// want makes a request, checks its status and reads the answer into a value.
func (r *rig) want(status int, method, path, body string, into any, header ...string) answer {
	r.t.Helper()
	a := r.do(method, path, body, header...)
	if a.status != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("%s %s: Cache-Control %q", method, path, a.header.Get("Cache-Control"))
	}
	if into != nil {
		if err := json.Unmarshal([]byte(a.body), into); err != nil {
			r.t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
	}
	return a
}

// refused makes a request that must fail with the status and the code.
func (r *rig) refused(status int, code, method, path, body string, header ...string) answer {
	r.t.Helper()
	var e struct {
		Error struct{ Message, Type, Param, Code string }
	}
	a := r.want(status, method, path, body, &e, header...)
	if e.Error.Code != code || e.Error.Message == "" {
		r.t.Errorf("%s %s: %s, want code %s", method, path, a.body, code)
	}
	return a
}

// told stores turns of the messages and returns the session's path.
func (r *rig) told(tenant, id string, turns ...[]string) string {
	r.t.Helper()
	for i, messages := range turns {
		turn := memory.Turn{ID: memory.NewTurnID(), At: today.Add(time.Duration(i) * time.Minute), Model: "gpt-4o-mini"}
		for _, raw := range messages {
			m, err := memory.ParseMessage(raw)
			if err != nil {
				r.t.Fatal(err)
			}
			m.Tokens = 5
			turn.Messages = append(turn.Messages, m)
		}
		r.append(tenant, id, turn)
	}
	return "/api/sessions/" + id
}

func (r *rig) append(tenant, id string, turn memory.Turn) {
	r.t.Helper()
	if _, err := r.store.Append(context.Background(), memory.Key{Tenant: tenant, Session: id}, turn); err != nil {
		r.t.Fatal(err)
	}
}

// hello is a turn for told.
func hello(text string) []string {
	question, _ := json.Marshal(text)
	return []string{`{"role":"user","content":` + string(question) + `}`, `{"role":"assistant","content":"Hello!"}`}
}

var theValidator = sync.OnceValues(func() (validator.Validator, error) {
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(data)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document, config.WithFormatAssertions(), config.WithContentAssertions())
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})

// described checks a response against the document.
func described(t *testing.T, request *http.Request, response *http.Response, body []byte) {
	t.Helper()
	v, err := theValidator()
	if err != nil {
		t.Fatal(err)
	}
	// The validator splits paths that are unescaped already.
	parts := strings.Split(request.URL.EscapedPath(), "/")
	if len(parts) > 3 && parts[2] == "sessions" && parts[3] != "import" {
		parts[3] = "id"
	}
	plain, err := http.NewRequest(request.Method, "http://mnemo"+strings.Join(parts, "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("Content-Type") == "application/x-ndjson" {
		// The validator takes it for JSON; it is described as a text.
		if body, err = json.Marshal(string(body)); err != nil {
			t.Fatal(err)
		}
	}
	copied := *response
	copied.Body = io.NopCloser(bytes.NewReader(body))
	if ok, errs := v.ValidateHttpResponse(plain, &copied); !ok {
		for _, e := range errs {
			t.Errorf("%s %s: %d is not as described: %s: %s: %v\n%.500s", request.Method, plain.URL.Path, response.StatusCode, e.Message, e.Reason, e.SchemaValidationErrors, body)
		}
	}
}

// A lockedBuffer takes what a server logs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
