package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

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
