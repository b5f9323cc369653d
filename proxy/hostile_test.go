package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/upstream"
)

// twoUpstreams routes "fast" to a renamed model.
func twoUpstreams(o *rigOptions) {
	first := o.upstream.Upstreams[0]
	o.upstream.Routes = []upstream.Route{{Model: "fast", To: []upstream.Candidate{{Upstream: first.Name, Model: "gpt-4o-mini"}}}}
}

func TestHostile_deep_JSON_exhausts_no_stack(t *testing.T) {
	deep := strings.Repeat("[", 4<<20)
	r := newRig(t, twoUpstreams)
	if got := r.do("POST", "/v1/chat/completions", `{"model":"fast","a":`+deep); got.status != 200 {
		t.Errorf("a deep body without a session = %d %s", got.status, got.body)
	}
	if got := r.chat("s", `{"model":"fast","a":`+deep); got.status != 400 {
		t.Errorf("a deep body with a session = %d", got.status)
	}
	r.up.reply(deep)
	if got := r.chat("s", user("x")); got.status != 200 || got.body != deep || len(r.turns("s")) != 0 {
		t.Errorf("a deep answer = %d, %d turns", got.status, len(r.turns("s")))
	}
	r.up.stream("data: "+deep[:1<<20]+"\n\n", chunk(`{"content":"fine"}`, "stop"), doneEvent)
	if got := r.chat("s", user("x", `"stream":true`)); got.err != nil || len(r.turns("s")) != 1 {
		t.Errorf("a deep event: %v, %d turns", got.err, len(r.turns("s")))
	}
}

func TestHostile_no_request_is_smuggled_behind_a_body(t *testing.T) {
	inner := "GET /v1/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	length := func(method, path string) string {
		return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", method, path, len(inner), inner)
	}
	for name, request := range map[string]string{
		"not found":      length("POST", "/chat/completions"),
		"health":         length("GET", "/healthz"),
		"ready":          length("POST", "/readyz"),
		"unknown method": length("QUERY", "/v1/x"),
		"broken chunk":   "POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n" + inner,
		"broken size":    "POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZ0\r\n\r\n" + inner,
		"both framings":  "POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"refused":        fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX-Session-ID: a b\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			// The last request ends the connection and so the reading.
			io.WriteString(conn, request+"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			answers, _ := io.ReadAll(conn) // a reset is as good as an end
			for _, seen := range r.up.requests() {
				if strings.Contains(seen.uri, "smuggled") {
					t.Errorf("the upstream got %s %s; the client got %q", seen.method, seen.uri, answers)
				}
			}
		})
	}
}

func TestHostile_a_chunk_that_is_no_JSON_is_never_stored(t *testing.T) {
	r := newRig(t)
	bad := "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\tb\"}}]}\n\n"
	text := bad + strings.ReplaceAll(bad, "\t", `\q`) + chunk(`{"content":"fine"}`, "stop") + doneEvent
	r.up.stream(text)
	if got := r.chat("s", user("hello", `"stream":true`)); got.body != text {
		t.Errorf("the client got %q", got.body)
	}
	if got := said(r.turns("s")); got != helloU+"\n"+fineA+"\n" {
		t.Errorf("stored %s", got)
	}
	r.up.reply(completion("fine"))
	if got := r.chat("s", user("again")); got.status != 200 || !gjson.Valid(r.up.last().body) {
		t.Errorf("the next call = %d, %s went up", got.status, r.up.last().body)
	}
}

// A panickyStore stands for a defect of ours that nobody knows of.
type panickyStore struct{ memory.Store }

func (panickyStore) Append(context.Context, memory.Key, memory.Turn) (int64, error) {
	panic("secret defect")
}

func TestHostile_a_panic_costs_one_answer(t *testing.T) {
	r := newRig(t, func(o *rigOptions) { o.store = panickyStore{openStore(t, t.TempDir()+"/p.db")} })
	if got := r.chat("s", user("x")); got.status != 500 || strings.Contains(got.body, "secret") {
		t.Errorf("JSON = %d %s", got.status, got.body)
	}
	r.up.stream(chunk(`{"content":"fine"}`, "stop"), doneEvent)
	if got := r.chat("s", user("x", `"stream":true`)); got.err == nil {
		t.Errorf("stream = %q, with a clean end", got.body)
	}
	body := user("x", `"stream":true`)
	got := r.raw(fmt.Sprintf("POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer sk-client\r\nX-Session-ID: s\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if strings.Contains(got, "[DONE]") {
		t.Errorf("HTTP/1.0 = %q", got)
	}
	eventually(t, "nothing is in flight", func() bool { return r.server.InFlight() == 0 })
	if got := r.do("GET", "/v1/models", ""); got.status != 200 {
		t.Errorf("afterwards = %d", got.status)
	}
	eventually(t, "the log says why", func() bool { return strings.Contains(r.log.String(), "secret defect") })
}

func TestHostile_half_a_request_gets_no_success(t *testing.T) {
	for _, request := range []string{
		"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n{\"model\"",
		"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\nhalf",
	} {
		r := newRig(t)
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, request)
		conn.(*net.TCPConn).CloseWrite()
		if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), " 200 ") {
			t.Errorf("answer = %q", answer)
		}
	}
}

func TestHostile_what_is_gathered_of_a_stream_is_bounded(t *testing.T) {
	r := &reply{limit: 10_000}
	event := []byte(`{"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", 1000) + `"}}]}`)
	for range 100 {
		r.chunk(event)
	}
	r.chunk([]byte(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`))
	if len(r.content.inside) != 0 || r.complete() || !r.measured {
		t.Errorf("%d bytes are kept, complete %v, measured %v", len(r.content.inside), r.complete(), r.measured)
	}
}

func TestHostile_names_of_models_pin_no_bodies(t *testing.T) {
	body := user("x") + strings.Repeat(" ", 1<<20)
	model := mustParse(t, body).model
	if about := aboutChat(body); about.model != "gpt-4o" || model != "gpt-4o" {
		t.Fatalf("models %q and %q", about.model, model)
	}
	r := new(refusals)
	r.add(strings.Repeat("m", 1000))
	r.add("short")
	if r.has(strings.Repeat("m", 1000)) || !r.has("short") {
		t.Error("the wrong names are remembered")
	}
}

func TestHostile_a_pool_key_never_reaches_another_upstream(t *testing.T) {
	other := newFakeUpstream()
	defer other.close()
	r := newRig(t, func(o *rigOptions) {
		o.upstream.Upstreams[0].Keys = []upstream.Key{{Label: "a", Value: "sk-POOL-SECRET", Weight: 1}}
		o.upstream.Upstreams = append(o.upstream.Upstreams, upstream.Upstream{Name: "b", URL: other.URL + "/v1"})
		o.upstream.Routes = []upstream.Route{{Model: "*", To: []upstream.Candidate{{Upstream: "fake"}, {Upstream: "b"}}}}
		o.upstream.Retry = upstream.Retry{Attempts: 2, Base: time.Millisecond, Max: time.Millisecond}
	})
	other.stream(chunk(`{"content":"fine"}`, "stop"), doneEvent)
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, body string) {
		if strings.Contains(body, "stream_options") {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"message":"stream_options is not supported"}}`)
			return
		}
		w.WriteHeader(503)
	})
	r.chat("s", user("x", `"stream":true`))
	if sent := other.last().header.Get("Authorization"); sent != "Bearer sk-client" {
		t.Errorf("the other upstream got %q", sent)
	}
}

func TestHostile_a_client_that_takes_nothing_is_let_go(t *testing.T) {
	conn := &stuckConn{}
	x := &exchange{s: new(Server)}
	x.ctx, x.cancel = context.WithCancel(t.Context())
	r := &relay{x: x, conn: conn, copy: func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }}
	if _, err := r.WriteTo(conn); !errors.Is(err, errStuck) || x.outcome != upstream.ClientGone || x.ctx.Err() == nil {
		t.Errorf("WriteTo = %v, outcome %v, context %v", err, x.outcome, x.ctx.Err())
	}
	if left := time.Until(conn.deadline); left <= 0 || left > writeTimeout {
		t.Errorf("the deadline for writing is %v away", left)
	}
}

var errStuck = errors.New("stuck until the deadline")

type stuckConn struct {
	net.Conn
	deadline time.Time
}

func (c *stuckConn) SetWriteDeadline(t time.Time) error { c.deadline = t; return nil }
func (c *stuckConn) Write([]byte) (int, error)          { return 0, errStuck }

func TestHostile_parse_errors_quote_nothing(t *testing.T) {
	r := newRig(t)
	got := r.raw("GET /v1/models HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-secret\x01\r\n\r\n")
	if strings.Contains(got, "sk-secret") || strings.Contains(r.log.String(), "sk-secret") {
		t.Errorf("answer = %q", got)
	}
}

func TestHostile_a_shutdown_before_the_start_ends_it(t *testing.T) {
	r := newRig(t)
	s := New(Options{Settings: r.server.now().Settings, Store: r.store, Telemetry: r.server.Telemetry})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Errorf("Serve = %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestHostile_lines_that_end_with_CR_cost_linear_time(t *testing.T) {
	event := []byte(strings.Repeat("data: x\r", 1<<18))
	resume, end := 0, 0
	for n := 4096; n < len(event); n += 4096 {
		if end, resume = eventEnd(event[:n], resume); end >= 0 {
			t.Fatal("an end in the middle")
		}
		if n-resume > 4096 {
			t.Fatalf("at %d it would look from %d again", n, resume)
		}
	}
}

func TestHostile_a_bare_scheme_is_no_key(t *testing.T) {
	for _, value := range []string{"Bearer", "Bearer ", "bearer   "} {
		if got := credential(http.Header{"Authorization": {value}}); got != "" {
			t.Errorf("credential of %q is %q", value, got)
		}
	}
}

func TestHostile_a_cut_stream_with_a_length_gets_no_event(t *testing.T) {
	r := newRig(t)
	text := chunk(`{"content":"a"}`, "null")
	r.up.raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", len(text)+400, text), false)
	got := r.do("POST", "/v1/chat/completions", user("x", `"stream":true`))
	if got.err == nil || strings.Contains(got.body, "error") {
		t.Errorf("body = %q, %v", got.body, got.err)
	}
}

func TestHostile_a_turn_that_cannot_be_stored_is_told(t *testing.T) {
	for _, closed := range []bool{false, true} {
		r := newRig(t, func(o *rigOptions) {
			o.store, o.proxy.Memory.FailClosed = failingStore{openStore(t, t.TempDir()+"/f.db")}, closed
		})
		got := r.chat("s", user("x"))
		if closed && got.status != 503 || !closed && (got.status != 200 || got.header.Get("X-Memory-Status") != "bypassed") {
			t.Errorf("closed=%v: %d %s", closed, got.status, got.header.Get("X-Memory-Status"))
		}
	}
}

type failingStore struct{ memory.Store }

func (failingStore) Append(context.Context, memory.Key, memory.Turn) (int64, error) {
	return 0, io.ErrClosedPipe
}
