package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a model API: it counts what it was sent.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	calls []seen
}

type seen struct {
	method, uri, host, body string
	header                  http.Header
}

func (f *fake) seen() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.calls...)
}

// answer is called with the number of the call, from 1.
func newFake(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(f.handler(answer))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) handler(answer func(n int, w http.ResponseWriter, r *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.calls = append(f.calls, seen{r.Method, r.RequestURI, r.Host, string(body), r.Header})
		n := len(f.calls)
		f.mu.Unlock()
		answer(n, w, r)
	})
}

func status(code int) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func newPool(t *testing.T, o Options) *Pool {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// memory is a network inside the test, so that its time can be the test's.
type memory struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemory() *memory {
	return &memory{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.done) }); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }

func (m *memory) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.conns <- server:
		return client, nil
	case <-m.done:
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inMemory serves each upstream of a pool inside a synctest bubble. The
// upstreams' URLs do not matter.
func inMemory(t *testing.T, p *Pool, answers ...func(n int, w http.ResponseWriter, r *http.Request)) []*fake {
	t.Helper()
	fakes := make([]*fake, len(answers))
	for i, answer := range answers {
		m := newMemory()
		fakes[i] = &fake{}
		server := &http.Server{Handler: fakes[i].handler(answer)}
		go server.Serve(m)
		transport := newTransport(p.upstreams[i].address, 0)
		transport.DialContext = m.DialContext
		p.upstreams[i].use(transport)
		t.Cleanup(func() {
			p.Close()
			server.Shutdown(context.Background()) // waits for handlers
		})
	}
	return fakes
}

func chat(model string) *Request {
	return &Request{
		Method: http.MethodPost,
		Target: chatTarget,
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer client"}},
		Body:   `{"model":"` + model + `","messages":[]}`,
		Model:  model,
	}
}

// call makes a chat call and returns what the client would see.
func (p *Pool) call(t *testing.T, r *Request) (status int, body string, answer *Answer) {
	t.Helper()
	answer, err := p.Do(t.Context(), r)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	answer.Finish(Completed)
	return answer.StatusCode, string(data), answer
}

func (p *Pool) mustFail(t *testing.T, r *Request) *Error {
	t.Helper()
	answer, err := p.Do(t.Context(), r)
	if err == nil {
		answer.Finish(ClientGone)
		t.Fatalf("Do answered %d, want an error", answer.StatusCode)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Do returned a %T, want an *Error", err)
	}
	return e
}

func TestPool_passes_a_call_on_and_its_answer_back(t *testing.T) {
	up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(299)
		io.WriteString(w, "hello")
	})
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL + "/v1/", Headers: map[string]string{"x-team": "red"}}}})
	r := chat("m")
	r.Header["Expect"] = []string{"100-continue"}
	r.Header["X-Twice"] = []string{"1", "2"}
	code, body, answer := p.call(t, r)
	if code != 299 || body != "hello" || len(answer.Header["Set-Cookie"]) != 2 {
		t.Errorf("answer = %d %q %v", code, body, answer.Header)
	}
	if answer.Upstream != "a" || answer.Key != "" || answer.Model != "m" || answer.Attempts != 1 {
		t.Errorf("labels = %+v", answer)
	}
	got := up.seen()[0]
	if got.uri != "/v1/chat/completions" || got.body != r.Body || got.host != strings.TrimPrefix(up.URL, "http://") {
		t.Errorf("upstream saw %+v", got)
	}
	for name, want := range map[string]int{"Authorization": 1, "X-Twice": 2, "X-Team": 1, "User-Agent": 0, "Expect": 0, "Accept-Encoding": 0, "Idempotency-Key": 0} {
		if n := len(got.header[name]); n != want {
			t.Errorf("header %s arrived %d times, want %d", name, n, want)
		}
	}
	if got.header.Get("Authorization") != "Bearer client" || got.header.Get("Content-Length") != "" && got.header.Get("Content-Length") != "27" {
		t.Errorf("headers = %v", got.header)
	}
}

func TestPool_refuses_what_cannot_be_passed_on(t *testing.T) {
	up := newFake(t, status(200))
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}}, Breaker: Breaker{Consecutive: 1}})
	for name, change := range map[string]func(*Request){
		"another host":        func(r *Request) { r.Target = "@evil.example/" },
		"a space":             func(r *Request) { r.Target = "/a b" },
		"a line break":        func(r *Request) { r.Target = "/a\r\nX: y" },
		"a tunnel":            func(r *Request) { r.Method = http.MethodConnect },
		"no method":           func(r *Request) { r.Method = "" },
		"a header with a NUL": func(r *Request) { r.Header["X"] = []string{"a\x00b"} },
	} {
		r := chat("m")
		change(r)
		if e := p.mustFail(t, r); e.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", name, e.Status)
		}
	}
	if n := len(up.seen()); n != 0 {
		t.Errorf("the upstream was called %d times", n)
	}
	if code, _, _ := p.call(t, chat("m")); code != 200 {
		t.Errorf("a bad request opened the breaker")
	}
}

func TestPool_sends_the_body_of_a_call_with_its_exact_length(t *testing.T) {
	lengths := make(chan int64, 1)
	up := newFake(t, func(_ int, _ http.ResponseWriter, r *http.Request) { lengths <- r.ContentLength })
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}}})
	for name, test := range map[string]struct {
		request Request
		want    int64
	}{
		"body":                     {Request{Body: "12345"}, 5},
		"no body":                  {Request{}, 0},
		"stream":                   {Request{Stream: strings.NewReader("123"), Length: 3}, 3},
		"stream of unknown length": {Request{Stream: strings.NewReader("123"), Length: -1}, -1},
		"empty stream":             {Request{Stream: strings.NewReader(""), Length: 0}, 0},
	} {
		test.request.Method, test.request.Target = http.MethodPost, "/files"
		p.call(t, &test.request)
		if got := <-lengths; got != test.want {
			t.Errorf("%s: Content-Length %d, want %d", name, got, test.want)
		}
	}
}
