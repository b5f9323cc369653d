package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
	"mnemo/memory/tokens"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// The cleaner of a fasthttp server sleeps on for up to 10 s after it was stopped;
// its clock never stops.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// A rig is a whole mnemo in front of a scripted upstream.
type rig struct {
	t      *testing.T
	url    string // of mnemo, without /v1
	up     *fakeUpstream
	store  memory.Store
	server *Server
	log    *lockedBuffer
	client *http.Client
}

type rigOptions struct {
	proxy    Options
	upstream upstream.Options
	store    memory.Store
}

// newRig starts one. change may alter the options.
func newRig(t *testing.T, change ...func(*rigOptions)) *rig {
	t.Helper()
	r := &rig{t: t, up: newFakeUpstream(), log: new(lockedBuffer)}
	o := rigOptions{upstream: upstream.Options{Upstreams: []upstream.Upstream{{Name: "fake", URL: r.up.URL + "/v1"}}}}
	o.proxy.Memory.Policy.Budget = 8000
	for _, f := range change {
		f(&o)
	}
	tel, err := telemetry.Start(context.Background(), telemetry.Options{LogOutput: r.log, LogFormat: telemetry.LogJSON, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if r.store = o.store; r.store == nil {
		r.store = openStore(t, t.TempDir()+"/m.db")
	}
	pool, err := upstream.New(o.upstream)
	if err != nil {
		t.Fatal(err)
	}
	counter := &memory.Counter{Message: tokens.For("").CountMessage, Fixed: tokens.For("").CountTools}
	o.proxy.Pool, o.proxy.Store, o.proxy.Telemetry = pool, r.store, tel
	o.proxy.Log = tel.Logger()
	if o.proxy.Counter == nil {
		o.proxy.Counter = func(string) *memory.Counter { return counter }
	}
	if o.proxy.Window == nil {
		o.proxy.Window = tokens.Window
	}
	r.server = New(o.proxy)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	r.client = &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(l) }()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		pool.Close()
		r.up.close()
		if err := tel.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// apply changes settings of the running server.
func (r *rig) apply(change func(*Settings)) {
	next := r.server.now().Settings
	change(&next)
	r.server.Apply(next)
}

func openStore(t *testing.T, path string) memory.Store {
	t.Helper()
	store, err := sqlitestore.Open(context.Background(), sqlitestore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// An exchanged is what came back.
type exchanged struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// do sends one request; headers are "Name: value".
func (r *rig) do(method, path, body string, headers ...string) exchanged {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.send(req, headers...)
}

func (r *rig) send(req *http.Request, headers ...string) exchanged {
	r.t.Helper()
	req.Header.Set("Authorization", "Bearer sk-client")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[http.CanonicalHeaderKey(name)] = append(req.Header[http.CanonicalHeaderKey(name)], value)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return exchanged{resp.StatusCode, resp.Header, string(b), err}
}

// chat sends a chat call with a session.
func (r *rig) chat(session, body string, headers ...string) exchanged {
	r.t.Helper()
	return r.do("POST", "/v1/chat/completions", body, append([]string{"Content-Type: application/json", "X-Session-ID: " + session}, headers...)...)
}

// raw sends bytes and returns everything that comes until the connection ends.
func (r *rig) raw(request string) string {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		r.t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		return string(b) + "\n<" + err.Error() + ">"
	}
	return string(b)
}

// turns is what the store holds of a session of the rig's default client.
func (r *rig) turns(session string) []memory.Turn {
	r.t.Helper()
	turns, err := r.store.Turns(context.Background(), r.key(session), 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return turns
}

func (r *rig) key(session string) memory.Key {
	c, err := r.server.now().auth.caller(http.Header{"Authorization": {"Bearer sk-client"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return memory.Key{Tenant: c.tenant, Session: session}
}

// said is the raw messages of turns, one a line.
func said(turns []memory.Turn) string {
	var b strings.Builder
	for i := range turns {
		for j := range turns[i].Messages {
			b.WriteString(turns[i].Messages[j].Raw + "\n")
		}
	}
	return b.String()
}

// A fakeUpstream plays what a test scripts and keeps what it was sent.
type fakeUpstream struct {
	*httptest.Server
	mu     sync.Mutex
	script func(http.ResponseWriter, *http.Request, string)
	seen   []seenRequest
	gone   chan struct{} // receives when a call's client went away
}

type seenRequest struct {
	method, uri, body string
	header            http.Header
	host              string
}

func newFakeUpstream() *fakeUpstream {
	up := &fakeUpstream{gone: make(chan struct{}, 100)}
	up.reply(completion("fine"))
	up.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		up.mu.Lock()
		script := up.script
		if err == nil {
			up.seen = append(up.seen, seenRequest{req.Method, req.RequestURI, string(body), req.Header.Clone(), req.Host})
		}
		up.mu.Unlock()
		if err == nil {
			script(w, req, string(body))
		}
	}))
	return up
}

func (up *fakeUpstream) close() {
	up.CloseClientConnections()
	up.Close()
}

// handle makes script answer from now on.
func (up *fakeUpstream) handle(script func(w http.ResponseWriter, req *http.Request, body string)) {
	up.mu.Lock()
	defer up.mu.Unlock()
	up.script = script
}

// reply answers every call with a JSON body.
func (up *fakeUpstream) reply(body string) {
	up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	})
}

// stream answers every call with parts of an event stream, each flushed.
func (up *fakeUpstream) stream(parts ...string) {
	up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, p := range parts {
			io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
	})
}

// raw answers every call with bytes that net/http would not send, and closes the
// connection, with a reset if reset.
func (up *fakeUpstream) raw(answer string, reset bool) {
	up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		buffered.WriteString(answer)
		buffered.Flush()
		if reset {
			conn.(*net.TCPConn).SetLinger(0)
		}
	})
}

// hang answers with what there is of the body and then waits until its client
// goes away.
func (up *fakeUpstream) hang(head func(w http.ResponseWriter)) {
	up.handle(func(w http.ResponseWriter, req *http.Request, _ string) {
		if head != nil {
			head(w)
			w.(http.Flusher).Flush()
		}
		<-req.Context().Done()
		up.gone <- struct{}{}
	})
}

func (up *fakeUpstream) requests() []seenRequest {
	up.mu.Lock()
	defer up.mu.Unlock()
	return append([]seenRequest(nil), up.seen...)
}

func (up *fakeUpstream) last() seenRequest {
	all := up.requests()
	return all[len(all)-1]
}

// completion is an answer of the chat API.
func completion(content string) string {
	return fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}`, content)
}

// chunk is an event of a chat stream.
func chunk(delta, finish string) string {
	if finish != "null" {
		finish = `"` + finish + `"`
	}
	return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}` + "\n\n"
}

const (
	usageEvent = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
)

// user is a chat request with one user message.
func user(text string, more ...string) string {
	members := ""
	for _, m := range more {
		members += "," + m
	}
	return fmt.Sprintf(`{"model":"gpt-4o","messages":[{"role":"user","content":%q}]%s}`, text, members)
}

// eventually waits for what happens beside the request's path.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !true() {
		select {
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		case <-tick.C:
		}
	}
}

// accessLine waits for the n-th access line and returns it.
func (r *rig) accessLine(n int) string {
	r.t.Helper()
	var line string
	eventually(r.t, "access line", func() bool {
		scan := bufio.NewScanner(strings.NewReader(r.log.String()))
		for seen := 0; scan.Scan(); {
			if strings.Contains(scan.Text(), `"msg":"request"`) {
				if seen++; seen == n {
					line = scan.Text()
					return true
				}
			}
		}
		return false
	})
	return line
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
