package upstream

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestReload_closes_the_connections_of_upstreams_that_are_gone(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) { closesConnections(t, protocol) })
	}
}

func closesConnections(t *testing.T, protocol string) {
	var open atomic.Int64
	changed := make(chan struct{}, 16)
	release := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != protocol {
			t.Errorf("a call came in %s", r.Proto)
		}
		if r.URL.Path != chatTarget {
			return
		}
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "data: 2\n\n")
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		default:
			return
		}
		changed <- struct{}{}
	}
	server.EnableHTTP2 = protocol == "HTTP/2.0"
	server.StartTLS()
	t.Cleanup(server.Close)
	wait := func(least, most int64) {
		t.Helper()
		for n := open.Load(); n < least || n > most; n = open.Load() {
			select {
			case <-changed: // the server learns of it by and by
			case <-time.After(10 * time.Second):
				t.Fatalf("%d connections, want %d to %d", n, least, most)
			}
		}
	}
	upstreams := func(name string) []Upstream {
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		return []Upstream{{Name: name, URL: server.URL, RootCAs: roots}}
	}
	p := newPool(t, Options{Upstreams: upstreams("a")})
	stream, err := p.Do(t.Context(), chat("m"))
	if err != nil {
		t.Fatal(err)
	}
	p.call(t, &Request{Method: http.MethodGet, Target: "/models"})
	wait(1, 2)
	p.mustReload(t, Options{Upstreams: upstreams("other")})
	wait(1, 1)
	close(release)
	if body, err := io.ReadAll(stream.Body); err != nil || string(body) != "data: 1\n\ndata: 2\n\n" {
		t.Errorf("the stream under way got %q, %v", body, err)
	}
	stream.Finish(Completed)
	wait(0, 0)
	p.call(t, &Request{Method: http.MethodGet, Target: "/models"}) // of a caller that took the pool just before
	wait(0, 0)
}

func TestReload_under_load_fails_nobody(t *testing.T) {
	const reloads, callers, events = 200, 50, 5
	up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer pooled") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range events {
			fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", i)
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, "data: [DONE]\n\n")
	})
	options := func(n int) Options {
		keys := []Key{{Label: "stays", Value: "pooled"}, {Label: fmt.Sprint("k", n), Value: fmt.Sprint("pooled", n)}}
		return Options{
			Upstreams: []Upstream{
				{Name: "same", URL: up.URL, Keys: keys, MaxInFlight: callers / 2, Queue: Queue{Wait: time.Minute}},
				{Name: "other", URL: up.URL, Keys: keys, Headers: map[string]string{"X-Try": fmt.Sprint(n / 2)}},
				{Name: fmt.Sprint("only", n%3), URL: up.URL, Keys: keys},
			},
			Routes: []Route{
				{Model: "same", To: []Candidate{{Upstream: "same"}}},
				{Model: "other", To: []Candidate{{Upstream: "other"}, {Upstream: "same"}}},
				{Model: "*", To: []Candidate{{Upstream: fmt.Sprint("only", n%3)}}},
			},
			Retry: Retry{Attempts: n % 3, Base: time.Millisecond},
		}
	}
	var pool atomic.Pointer[Pool]
	pool.Store(newPool(t, options(0)))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	called := make(chan struct{})
	for caller := range callers {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := chat([]string{"same", "other", "only"}[(caller+n)%3])
				r.Body, r.Sticky = `{"stream":true}`, fmt.Sprint(caller)
				if code, body, _ := pool.Load().call(t, r); code != 200 || strings.Count(body, "data: ") != events+1 {
					t.Errorf("answer %d: %q", code, body)
				}
				select {
				case called <- struct{}{}:
				case <-ctx.Done():
				}
			}
		})
	}
	first := pool.Load()
	for n := 1; n <= reloads; n++ {
		for range 5 { // calls meet every pool
			<-called
		}
		next, err := pool.Load().Reload(options(n))
		if err != nil {
			t.Fatal(err)
		}
		pool.Store(next)
	}
	stop()
	running.Wait()
	last := pool.Load()
	t.Cleanup(last.Close)
	if last.upstreams[0] != first.upstreams[0] || len(last.upstreams[0].keys.keys) != 2 {
		t.Error("what stays did not stay")
	}
	for _, s := range append(last.Status(), first.Status()...) {
		if s.InFlight != 0 || s.Queued != 0 {
			t.Errorf("%s has %d in flight, %d queued", s.Upstream, s.InFlight, s.Queued)
		}
	}
}
