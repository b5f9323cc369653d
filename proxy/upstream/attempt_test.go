package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestCall_leaves_a_bad_key_out_and_probes_it_later(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log strings.Builder
		p := newPool(t, Options{
			Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "good", Value: "G", Weight: 1}, {Label: "bad", Value: "B", Weight: 1}}}},
			Retry:     retries, Log: logTo(&log),
		})
		healed := false
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer B" && !healed {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})[0]
		bad := func() (n int) {
			for _, c := range up.seen() {
				if c.header.Get("Authorization") == "Bearer B" {
					n++
				}
			}
			return n
		}
		for range 20 {
			if code, _, answer := p.call(t, chat("m")); code != 200 || answer.Key != "good" {
				t.Fatalf("answer %d with key %s", code, answer.Key)
			}
		}
		if bad() != 1 || p.Status()[0].Keys[1].State != KeyOut {
			t.Errorf("the bad key was used %d times: %+v", bad(), p.Status()[0].Keys)
		}
		time.Sleep(outFor * 11 / 10)
		healed = true
		for range 20 {
			p.call(t, chat("m"))
		}
		if bad() < 10 {
			t.Errorf("the healed key was used %d times", bad())
		}
		if strings.Count(log.String(), "refuses a key") != 1 || !strings.Contains(log.String(), "key=bad") || strings.Contains(log.String(), "=B") {
			t.Errorf("log = %s", log.String())
		}
	})
}

func TestCall_without_a_good_key_says_that_the_credentials_are_exhausted(t *testing.T) {
	up := newFake(t, status(401))
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{Label: "x", Value: "X", Weight: 1}, {Label: "y", Value: "Y", Weight: 1}}}}, Retry: retries})
	for range 2 {
		e := p.mustFail(t, chat("m"))
		if e.Status != 502 || e.Code != CodeCredentialsExhausted {
			t.Errorf("error = %+v", e)
		}
	}
	if n := len(up.seen()); n != 2 || p.Usable() {
		t.Errorf("%d calls, want one for each key", n)
	}
}

func TestCall_does_not_let_one_client_put_a_key_out_for_others(t *testing.T) {
	deny := func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/chat/completions" || r.Header.Get("Openai-Organization") != "" {
			w.WriteHeader(http.StatusUnauthorized)
		} else if r.Header.Get("X-Model") == "secret" {
			w.WriteHeader(http.StatusForbidden)
		}
	}
	up := newFake(t, deny)
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{Label: "x", Value: "X", Weight: 1}}}}, Retry: retries})
	forbidden := chat("secret")
	forbidden.Header.Set("X-Model", "secret")
	foreign := chat("m")
	foreign.Header.Set("OpenAI-Organization", "org-of-somebody")
	admin := &Request{Method: "GET", Target: "/organization/usage"}
	for _, r := range []*Request{forbidden, foreign, admin} {
		if e := p.mustFail(t, r); e.Code != CodeCredentialsExhausted {
			t.Errorf("error = %+v", e)
		}
		if code, _, _ := p.call(t, chat("m")); code != 200 {
			t.Errorf("the key is out for everybody")
		}
	}
}

func TestCall_repeats_what_is_not_idempotent_only_if_the_upstream_did_nothing(t *testing.T) {
	for name, test := range map[string]struct {
		request Request
		fail    int
		calls   int
	}{
		"DELETE, 500":                   {Request{Method: "DELETE", Target: "/files/1"}, 500, 1},
		"DELETE, 429":                   {Request{Method: "DELETE", Target: "/files/1"}, 429, 2},
		"POST of a file, 500":           {Request{Method: "POST", Target: "/files", Body: "x"}, 500, 1},
		"POST with an idempotency key":  {Request{Method: "POST", Target: "/files", Body: "x", Header: http.Header{"Idempotency-Key": {"1"}}}, 500, 2},
		"GET, 500":                      {Request{Method: "GET", Target: "/models?x=1"}, 500, 2},
		"embeddings, 500":               {Request{Method: "POST", Target: "/embeddings?x=1", Body: "x"}, 500, 2},
		"a stream that was begun, 500":  {Request{Method: "POST", Target: chatTarget, Stream: strings.NewReader("abc"), Length: 3}, 500, 1},
		"a stream that was begun, 429":  {Request{Method: "POST", Target: chatTarget, Stream: strings.NewReader("abc"), Length: -1}, 429, 1},
		"retries are off for this pool": {Request{Method: "GET", Target: "/off"}, 500, 1},
	} {
		bubble.Test(t, func(t *testing.T) {
			retry := retries
			if test.request.Target == "/off" {
				retry = Retry{}
			}
			p := newPool(t, Options{Upstreams: one("http://a"), Retry: retry})
			up := inMemory(t, p, once(test.fail))[0]
			p.call(t, &test.request)
			if n := len(up.seen()); n != test.calls {
				t.Errorf("%s: %d calls, want %d", name, n, test.calls)
			}
		})
	}
}

func TestCall_repeats_any_method_that_could_not_be_dialled(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: Retry{Attempts: 1}})
		inMemory(t, p, status(200), status(200))
		refuse := newTransport(p.upstreams[0].address, 0)
		refuse.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		p.upstreams[0].use(refuse)
		for _, r := range []*Request{
			{Method: "DELETE", Target: "/files/1", Model: "m"},
			{Method: "POST", Target: "/files", Model: "m", Stream: strings.NewReader("whole"), Length: 5},
		} {
			if _, _, answer := p.call(t, r); answer.Upstream != "b" || answer.Attempts != 2 {
				t.Errorf("%s: answered by %s", r.Method, answer.Upstream)
			}
		}
	})
}

func TestCall_gives_each_upstream_its_own_headers_only(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := []Upstream{
			{Name: "a", URL: "http://a", Keys: []Key{{Label: "k", Value: "pool", Weight: 1}}, Headers: map[string]string{"X-Secret": "of a", "host": "a.example"}},
			{Name: "b", URL: "http://b"},
		}
		p := newPool(t, Options{Upstreams: ups, Routes: toBoth(), Retry: Retry{Attempts: 1}})
		fakes := inMemory(t, p, status(500), status(200))
		r := chat("m")
		r.Header["Api-Key"] = []string{"client too"}
		p.call(t, r)
		a, b := fakes[0].seen()[0], fakes[1].seen()[0]
		if a.header.Get("Authorization") != "Bearer pool" || a.header.Get("Api-Key") != "" || a.header.Get("X-Secret") != "of a" || a.host != "a.example" {
			t.Errorf("a saw %+v", a)
		}
		if b.header.Get("Authorization") != "Bearer client" || b.header.Get("Api-Key") != "client too" || b.header.Get("X-Secret") != "" || b.host != "b" {
			t.Errorf("b saw %+v", b)
		}
	})
}

func TestCall_does_not_wait_for_an_upstream_that_asks_for_long(t *testing.T) {
	asks := func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		ups := inMemory(t, p, asks, status(200))
		start := time.Now()
		if code, _, _ := p.call(t, chat("m")); code != 200 || len(ups[0].seen()) != 1 || time.Since(start) > 0 {
			t.Errorf("answer %d after %d calls and %v", code, len(ups[0].seen()), time.Since(start))
		}
	})
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
		up := inMemory(t, p, asks)[0]
		start := time.Now()
		if code, _, _ := p.call(t, chat("m")); code != 503 || len(up.seen()) != 1 || time.Since(start) > 0 {
			t.Errorf("answer %d after %d calls and %v", code, len(up.seen()), time.Since(start))
		}
	})
}

func TestCall_does_not_begin_a_pause_that_its_time_does_not_cover(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Timeouts: Timeouts{Total: 3 * time.Second}}}, Retry: retries})
		inMemory(t, p, once(http.StatusTooManyRequests, "Retry-After", "4"))
		start := time.Now()
		if code, _, _ := p.call(t, chat("m")); code != 429 || time.Since(start) > 0 {
			t.Errorf("answer %d after %v", code, time.Since(start))
		}
	})
}

func TestCall_ends_in_a_pause_with_its_context(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
		up := inMemory(t, p, once(http.StatusTooManyRequests, "Retry-After", "4"))[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := p.Do(ctx, chat("m")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || len(up.seen()) != 1 {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}
