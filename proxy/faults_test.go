package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/proxy/upstream"
)

// The faults that a gateway must survive, each over real TCP, streaming and not, with
// a session and without. Times are shortened, in the same proportions.

// The whole of what a healthy provider says, in the pieces of its stream.
var pieces = []string{"One ", "two ", "three ", "four ", "five ", "six."}

// sentence is the pieces as one.
var sentence = strings.Join(pieces, "")

// A provider answers each call as its play says.
type provider struct {
	*httptest.Server
	name  string
	calls atomic.Int64
}

// A play answers the n-th call, from 1.
type play func(c *asked, n int64)

// An asked is a call at a provider.
type asked struct {
	http.ResponseWriter
	provider *provider
	request  *http.Request
	body     string
	stream   bool
}

func newProvider(t *testing.T, name string, act play) *provider {
	p := &provider{name: name}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		act(&asked{w, p, req, string(body), gjson.GetBytes(body, "stream").Bool()}, p.calls.Add(1))
	}))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

// answer is what a healthy provider says.
func (c *asked) answer() {
	if !c.stream {
		c.whole(c.completion())
		return
	}
	c.begin()
	c.say(pieces...)
	c.end()
	c.event("[DONE]")
}

func (c *asked) completion() string {
	return fmt.Sprintf(`{"id":"chatcmpl-%s","object":"chat.completion","created":1,"model":"model-of-%[1]s","choices":[{"index":0,`+
		`"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}}`,
		c.provider.name, sentence)
}

func (c *asked) whole(body string) {
	c.Header().Set("Content-Type", "application/json")
	io.WriteString(c, body)
}

// begin sends a stream's head and its first event, which says nothing.
func (c *asked) begin() {
	c.Header().Set("Content-Type", "text/event-stream")
	c.delta(`{"role":"assistant","content":""}`, "null")
}

func (c *asked) say(text ...string) {
	for _, piece := range text {
		c.delta(fmt.Sprintf(`{"content":%q}`, piece), "null")
	}
}

// end says that the answer is whole, and what it took.
func (c *asked) end() {
	c.delta(`{}`, `"stop"`)
	if gjson.Get(c.body, "stream_options.include_usage").Bool() {
		c.event(fmt.Sprintf(`{"id":"chatcmpl-%s","object":"chat.completion.chunk","created":1,"model":"model-of-%[1]s","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}}`, c.provider.name))
	}
}

func (c *asked) delta(delta, finish string) {
	c.event(fmt.Sprintf(`{"id":"chatcmpl-%s","object":"chat.completion.chunk","created":1,"model":"model-of-%[1]s","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}`, c.provider.name, delta, finish))
}

func (c *asked) event(data string) {
	fmt.Fprintf(c, "data: %s\n\n", data)
	c.ResponseWriter.(http.Flusher).Flush()
}

// fail answers with an error in OpenAI's shape.
func (c *asked) fail(status int, code string, headers ...string) {
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		c.Header().Set(name, value)
	}
	c.Header().Set("Content-Type", "application/json")
	c.WriteHeader(status)
	fmt.Fprintf(c, `{"error":{"message":"the provider says %s","type":"provider_error","param":null,"code":%q}}`, code, code)
}

// wire takes the connection over: what is written now is raw.
func (c *asked) wire(raw string, reset bool) {
	conn, buffered, err := c.ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	buffered.WriteString(raw)
	buffered.Flush()
	if reset {
		conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}

// cut ends the connection in the middle of the answer.
func (c *asked) cut() {
	if rc := http.NewResponseController(c.ResponseWriter); rc.Flush() == nil {
		conn, _, err := rc.Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// silence says nothing until the caller goes away.
func (c *asked) silence() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok && c.Header().Get("Content-Type") != "" {
		f.Flush()
	}
	<-c.request.Context().Done()
}

func healthy(c *asked, _ int64) { c.answer() }

// broken says two thirds of its answer, and then does as it is told.
func broken(then func(c *asked)) play {
	return func(c *asked, _ int64) {
		if c.stream {
			c.begin()
			c.say(pieces[:4]...)
		} else {
			c.Header().Set("Content-Type", "application/json")
			c.Header().Set("Content-Length", fmt.Sprint(len(c.completion())))
			io.WriteString(c, c.completion()[:100])
		}
		then(c)
	}
}

// A fault is what a provider does and what its caller should see.
type fault struct {
	name     string
	primary  play
	fallback play // nil: there is none
	tune     func(*upstream.Options)
	// What the caller sees: the whole sentence of who, or else an error of this code
	// and status, which ends a stream that had begun.
	from     string // "primary" if empty
	code     string
	status   int
	streamed bool   // the fault is one of streams
	rescued  bool   // another provider goes on with the primary's stream
	text     string // of a stream before its error
	most     int64  // calls of the primary; 0: any number
	within   time.Duration
}

const patienceOfFault = 250 * time.Millisecond // a limit that passes in these tests

func faults() []fault {
	fallsBack := func(name string, act play) fault {
		return fault{name: name, primary: act, fallback: healthy, from: "fallback"}
	}
	quick := func(o *upstream.Options) {
		o.Upstreams[0].Timeouts = upstream.Timeouts{Headers: patienceOfFault, StreamIdle: patienceOfFault}
	}
	always := func(status int, code string, headers ...string) play {
		return func(c *asked, _ int64) { c.fail(status, code, headers...) }
	}
	once := func(status int, code string, headers ...string) play {
		return func(c *asked, n int64) {
			if n == 1 {
				c.fail(status, code, headers...)
				return
			}
			c.answer()
		}
	}
	list := []fault{
		{name: "S01 429 with Retry-After once", primary: once(429, "rate_limit_exceeded", "Retry-After: 1"), most: 2},
		{name: "S02 429 always, nowhere to go", primary: always(429, "rate_limit_exceeded"), code: "rate_limit_exceeded", status: 429, most: 4},
		{name: "S03 500 once", primary: once(500, "oops"), most: 2},
		{name: "S04 503 always, nowhere to go", primary: always(503, "overloaded"), code: "overloaded", status: 503, most: 3},
		{name: "S05 reset before the head", primary: func(c *asked, n int64) {
			if n == 1 {
				c.wire("", true)
				return
			}
			c.answer()
		}, most: 2},
		{name: "S10 an event is no JSON", streamed: true, primary: func(c *asked, _ int64) {
			c.begin()
			c.say(pieces[:3]...)
			c.event(`{"id":"chatcmpl-`)
			c.say(pieces[3:]...)
			c.end()
			c.event("[DONE]")
		}},
		{name: "S11 no [DONE]", streamed: true, within: 2 * time.Second, primary: func(c *asked, _ int64) {
			c.begin()
			c.say(pieces...)
			c.end()
		}},
		{name: "S12 the context is too long", primary: always(400, "context_length_exceeded"), fallback: healthy, code: "context_length_exceeded", status: 400, most: 1},
		{name: "S13 the content is refused", primary: always(400, "content_policy_violation"), fallback: healthy, code: "content_policy_violation", status: 400, most: 1},
		{name: "an HTML error page", primary: func(c *asked, _ int64) {
			c.Header().Set("Content-Type", "text/html")
			c.WriteHeader(502)
			io.WriteString(c, "<html><h1>502 Bad Gateway</h1></html>")
		}, fallback: healthy, from: "fallback"},
		{name: "an error of 5 MB", primary: func(c *asked, _ int64) {
			c.Header().Set("Content-Type", "application/json")
			c.WriteHeader(500)
			io.WriteString(c, `{"error":{"message":"`+strings.Repeat("x", 5<<20)+`"}}`)
		}, fallback: healthy, from: "fallback"},
	}
	for _, f := range []fault{
		fallsBack("S02 429 always", always(429, "rate_limit_exceeded")),
		fallsBack("S04 503 always", always(503, "overloaded")),
		fallsBack("S05 reset always", func(c *asked, _ int64) { c.wire("", true) }),
		fallsBack("S06 it accepts and never answers", func(c *asked, _ int64) { c.silence() }),
		fallsBack("S16 503 always, the fallback's model and usage", always(503, "overloaded")),
		fallsBack("a head that drips", func(c *asked, _ int64) {
			conn, _, err := c.ResponseWriter.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			tick := time.NewTicker(patienceOfFault / 10)
			defer tick.Stop()
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX-Drip: " + strings.Repeat("x", 200)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				<-tick.C
			}
		}),
	} {
		f.tune = quick
		list = append(list, f)
	}
	return append(list, breaks(quick)...)
}

// breaks are the faults of an answer that has begun.
func breaks(quick func(*upstream.Options)) []fault {
	early := func(then func(c *asked)) play {
		return func(c *asked, _ int64) {
			c.begin()
			then(c)
		}
	}
	hang := func(c *asked) { c.silence() }
	list := []fault{
		{name: "S07 the first token is late, nowhere to go", streamed: true, primary: func(c *asked, _ int64) {
			c.begin()
			<-time.After(3 * patienceOfFault)
			c.say(pieces...)
			c.end()
			c.event("[DONE]")
		}},
		{name: "S07 the first token is late", streamed: true, primary: early(hang), fallback: healthy, from: "fallback", most: 1,
			tune: func(o *upstream.Options) { o.HedgeAfter = patienceOfFault }},
		{name: "S08 the stream dies, nowhere to go", streamed: true, primary: broken((*asked).cut), code: "upstream_stream_cut", status: 200, text: strings.Join(pieces[:4], "")},
		{name: "S08 the answer dies", primary: broken((*asked).cut), fallback: healthy, from: "fallback"},
		{name: "S09 the stream goes silent, nowhere to go", streamed: true, primary: broken(hang), code: "upstream_stream_cut", status: 200, text: strings.Join(pieces[:4], ""), tune: quick},
		{name: "S09 the answer goes silent", primary: broken(hang), fallback: healthy, from: "fallback", tune: quick},
		{name: "S08 nowhere to go and the answer dies", primary: broken((*asked).cut), code: "upstream_answer_cut", status: 502, most: 3},
		{name: "S08 nowhere to go, no length is announced, and the answer dies", code: "upstream_answer_cut", status: 502, primary: func(c *asked, _ int64) {
			c.Header().Set("Content-Type", "application/json; charset=utf-8")
			io.WriteString(c, c.completion()[:100])
			c.cut()
		}},
		{name: "S09 nowhere to go and the answer goes silent", primary: broken(hang), code: "upstream_timeout", status: 504, tune: quick},
		{name: "the stream dies before it speaks", streamed: true, primary: early((*asked).cut), fallback: healthy, from: "fallback"},
		{name: "the stream is silent before it speaks", streamed: true, primary: early(hang), fallback: healthy, from: "fallback", tune: quick},
		{name: "an error in the stream before it speaks", streamed: true, primary: early(func(c *asked) {
			c.event(`{"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}`)
		}), fallback: healthy, from: "fallback"},
		{name: "an error in the stream, nowhere to go", streamed: true, primary: broken(func(c *asked) {
			c.event(`{"error":{"message":"overloaded","type":"server_error","code":"overloaded"}}`)
		}), code: "overloaded", status: 200, text: strings.Join(pieces[:4], "")},
		{name: "a 429 in the stream, nowhere to go", streamed: true, primary: broken(func(c *asked) {
			c.event(`{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}`)
		}), code: "rate_limit_exceeded", status: 200, text: strings.Join(pieces[:4], ""), most: 1},
	}
	for i := range list {
		if f := &list[i]; f.fallback != nil {
			f.most = 3
		}
	}
	return append(list, rescues(quick)...)
}

// heard is what a client makes of an answer.
type heard struct {
	status   int
	text     string
	code     string // of the error that it was told, or that ended the stream
	id       string
	model    string
	done     bool
	upstream string
	usage    int64 // completion tokens
}

func hear(t *testing.T, got exchanged, stream bool) heard {
	t.Helper()
	h := heard{status: got.status, upstream: got.header.Get("X-Upstream")}
	if got.status != 200 || !stream {
		if !json.Valid([]byte(got.body)) {
			t.Fatalf("the answer is no JSON: %.200q (%v)", got.body, got.err)
		}
		root := gjson.Parse(got.body)
		h.text, h.code = root.Get("choices.0.message.content").String(), root.Get("error.code").String()
		h.id, h.model, h.usage = root.Get("id").String(), root.Get("model").String(), root.Get("usage.completion_tokens").Int()
		return h
	}
	for event := range strings.SplitSeq(got.body, "\n\n") {
		data := strings.TrimPrefix(event, "data: ")
		if data == "[DONE]" {
			if h.done {
				t.Error("[DONE] came twice")
			}
			h.done = true
			continue
		}
		root := gjson.Parse(data)
		h.text += root.Get("choices.0.delta.content").String()
		if code := root.Get("error.code"); code.Exists() {
			h.code = code.String()
		}
		if id := root.Get("id").String(); id != "" && json.Valid([]byte(data)) {
			if h.id != "" && id != h.id {
				t.Errorf("the stream has the ids %s and %s", h.id, id)
			}
			h.id, h.model = id, root.Get("model").String()
		}
		if used := root.Get("usage.completion_tokens"); used.Exists() {
			h.usage = used.Int()
		}
	}
	return h
}

func TestFaults_are_survived(t *testing.T) {
	for _, f := range faults() {
		for _, stream := range []bool{true, false} {
			if f.streamed && !stream || strings.HasSuffix(f.name, "the answer dies") && stream || strings.HasSuffix(f.name, "the answer goes silent") && stream {
				continue
			}
			for _, session := range []string{"", "s"} {
				t.Run(fmt.Sprintf("%s/stream %v/session %v", f.name, stream, session != ""), func(t *testing.T) {
					t.Parallel()
					f.survive(t, stream, session)
				})
			}
		}
	}
}

func (f *fault) survive(t *testing.T, stream bool, session string) {
	primary := newProvider(t, "primary", f.primary)
	r := newRig(t, func(o *rigOptions) {
		o.upstream.Retry = upstream.Retry{Attempts: 2, Base: 5 * time.Millisecond, Max: 2 * time.Second}
		o.upstream.Upstreams = []upstream.Upstream{{Name: "primary", URL: primary.URL}}
		to := []upstream.Candidate{{Upstream: "primary"}}
		if f.fallback != nil {
			o.upstream.Upstreams = append(o.upstream.Upstreams, upstream.Upstream{Name: "fallback", URL: newProvider(t, "fallback", f.fallback).URL})
			to = append(to, upstream.Candidate{Upstream: "fallback"})
		}
		o.upstream.Routes = []upstream.Route{{Model: "*", To: to}}
		if f.tune != nil {
			f.tune(&o.upstream)
		}
	})
	start := time.Now()
	body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"count"}],"stream":%v`, stream)
	if stream {
		body += `,"stream_options":{"include_usage":true}`
	}
	headers := []string{"Content-Type: application/json"}
	if session != "" {
		headers = append(headers, "X-Session-ID: "+session)
	}
	got := r.do("POST", "/v1/chat/completions", body+"}", headers...)
	if took := time.Since(start); f.within > 0 && took > f.within {
		t.Errorf("it took %v", took)
	}
	f.check(t, got, stream)
	if calls := primary.calls.Load(); f.most > 0 && calls > f.most {
		t.Errorf("the primary was called %d times, want at most %d", calls, f.most)
	}
	if session != "" {
		f.checkStored(t, r, session)
	}
	if alive := r.do("GET", "/healthz", ""); alive.status != 200 {
		t.Errorf("afterwards healthz = %d", alive.status)
	}
}

func (f *fault) check(t *testing.T, got exchanged, stream bool) {
	h := hear(t, got, stream)
	if f.code != "" {
		if h.status != f.status || h.code != f.code || h.text != f.text || h.done {
			t.Errorf("the client heard %+v, want the error %s, status %d, after %q; %.300q", h, f.code, f.status, f.text, got.body)
		}
		return
	}
	from := f.from
	if from == "" {
		from = "primary"
	}
	if h.status != 200 || h.text != sentence || h.code != "" || got.err != nil {
		t.Fatalf("the client heard %+v, %v, want the whole sentence; %.300q", h, got.err, got.body)
	}
	if h.upstream != from || h.id != "chatcmpl-"+from || h.model != "model-of-"+from {
		t.Errorf("the answer is of %+v, want %s", h, from)
	}
	if h.usage == 0 {
		t.Error("no usage came")
	}
	if stream && !h.done && !strings.Contains(f.name, "no [DONE]") {
		t.Error("[DONE] is missing")
	}
}

// checkStored expects the turn that the client saw, once, or none after an error.
func (f *fault) checkStored(t *testing.T, r *rig, session string) {
	turns := r.turns(session)
	if f.code != "" {
		if len(turns) != 0 {
			t.Errorf("after an error is stored: %s", said(turns))
		}
		return
	}
	if len(turns) != 1 || len(turns[0].Messages) != 2 || gjson.Get(turns[0].Messages[1].Raw, "content").String() != sentence {
		t.Errorf("stored is %s", said(turns))
	}
}

func TestFaults_S15_a_breaker_spares_the_primary_and_is_back_soon(t *testing.T) {
	var sick atomic.Bool
	sick.Store(true)
	primary := newProvider(t, "primary", func(c *asked, _ int64) {
		if sick.Load() {
			c.fail(503, "overloaded")
			return
		}
		c.answer()
	})
	fallback := newProvider(t, "fallback", healthy)
	r := newRig(t, func(o *rigOptions) {
		o.upstream = upstream.Options{
			Upstreams: []upstream.Upstream{{Name: "primary", URL: primary.URL}, {Name: "fallback", URL: fallback.URL}},
			Routes:    []upstream.Route{{Model: "*", To: []upstream.Candidate{{Upstream: "primary"}, {Upstream: "fallback"}}}},
			Retry:     upstream.Retry{Attempts: 2, Base: time.Millisecond, Max: time.Second},
			Breaker:   upstream.Breaker{Consecutive: 5, Open: 50 * time.Millisecond}, OpenMax: 200 * time.Millisecond,
		}
	})
	call := func() heard {
		return hear(t, r.chat("s", `{"model":"m","messages":[{"role":"user","content":"count"}]}`, "X-Memory-Mode: off"), false)
	}
	for range 200 {
		if h := call(); h.status != 200 || h.upstream != "fallback" {
			t.Fatalf("a call while the primary is down: %+v", h)
		}
	}
	if n := primary.calls.Load(); n < 5 || n > 30 {
		t.Errorf("the primary was called %d times while it was down", n)
	}
	sick.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	for call().upstream != "primary" {
		if ctx.Err() != nil {
			t.Fatal("the primary is not back")
		}
	}
}
