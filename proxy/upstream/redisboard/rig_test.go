package redisboard_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"mnemo/proxy/upstream"
	"mnemo/proxy/upstream/redisboard"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	goleak.VerifyTestMain(m)
}

// silence is told of every connection that is refused.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func open(t testing.TB, o redisboard.Options) *redisboard.Board {
	t.Helper()
	b, err := redisboard.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// An api is a model API that fails for some models and counts what it was sent.
type api struct {
	*httptest.Server
	calls  atomic.Int64
	failed atomic.Int64
}

func newAPI(t *testing.T, bad func(model string) bool) *api {
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		if bad(r.Header.Get("X-Model")) {
			a.failed.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func replica(t testing.TB, url string, b upstream.Board, breaker upstream.Breaker) *upstream.Pool {
	t.Helper()
	p, err := upstream.New(upstream.Options{Upstreams: []upstream.Upstream{{Name: "a", URL: url}}, Board: b, Breaker: breaker, OpenMax: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// call returns the answer's status, or 0 if the upstream is left alone.
func call(t testing.TB, p *upstream.Pool, model string) int {
	t.Helper()
	answer, err := p.Do(context.Background(), &upstream.Request{
		Method: http.MethodPost, Target: "/chat/completions", Model: model, Body: "{}",
		Header: http.Header{"X-Model": {model}},
	})
	var e *upstream.Error
	if errors.As(err, &e) && e.Code == upstream.CodeUnavailable {
		return 0
	}
	if err != nil {
		t.Errorf("call: %v", err)
		return -1
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Finish(upstream.Completed)
	return answer.StatusCode
}

// eventually waits for what another process brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.After(20 * time.Second); !ok(); {
		select {
		case <-end:
			t.Fatalf("%s: not in 20 s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func state(p *upstream.Pool, model string) string {
	for _, b := range p.Status()[0].Breakers {
		if b.Model == model {
			return b.State
		}
	}
	return ""
}

var atOnce = upstream.Breaker{Consecutive: 3, Open: 30 * time.Second}

// A syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
