package upstream

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var retries = Retry{Attempts: 2}

func one(url string) []Upstream { return []Upstream{{Name: "a", URL: url}} }

func two() []Upstream {
	return []Upstream{{Name: "a", URL: "http://a/v1"}, {Name: "b", URL: "http://b/v1"}}
}

func toBoth() []Route { return []Route{{Model: "*", To: []Candidate{{"a", ""}, {"b", "other"}}}} }

// once fails the first call.
func once(code int, header ...string) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
}

// hang never answers; it returns when the call ends.
func hang(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestCall_waits_for_a_limited_key_as_long_as_it_was_told(t *testing.T) {
	for name, keys := range map[string][]Key{"pool": {{"k", "secret", 1}}, "client": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: keys}}, Retry: retries})
				up := inMemory(t, p, once(429, "Retry-After", "2"))[0]
				start := time.Now()
				code, _, answer := p.call(t, chat("m"))
				if code != 200 || answer.Attempts != 2 || len(up.seen()) != 2 {
					t.Errorf("answer %d after %d attempts", code, answer.Attempts)
				}
				if waited := time.Since(start); waited < 2*time.Second || waited > 2300*time.Millisecond {
					t.Errorf("waited %v, want 2s and a little", waited)
				}
			})
		})
	}
}

func TestCall_gives_up_on_endless_limits_and_passes_the_upstreams_words(t *testing.T) {
	for name, keys := range map[string][]Key{"pool": {{"k", "secret", 1}}, "client": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: keys}}, Retry: retries})
				up := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(429)
					io.WriteString(w, "slow down")
				})[0]
				start := time.Now()
				code, body, _ := p.call(t, chat("m"))
				if code != 429 || body != "slow down" {
					t.Errorf("answer %d %q", code, body)
				}
				if n := len(up.seen()); n != 3 {
					t.Errorf("%d attempts in %v, want 3", n, time.Since(start))
				}
				if s := p.Status()[0].Breakers; s[1].State != "closed" {
					t.Errorf("limits opened the breaker: %v", s)
				}
			})
		})
	}
}

func TestCall_passes_a_long_limit_on_at_once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{"k", "secret", 1}}}}, Retry: retries})
		up := inMemory(t, p, once(429, "Retry-After", "7200"))[0]
		if code, _, answer := p.call(t, chat("m")); code != 429 || answer.Header.Get("Retry-After") != "7200" {
			t.Errorf("answer %d %v", code, answer.Header)
		}
		time.Sleep(time.Hour)
		e := p.mustFail(t, chat("m"))
		if e.Status != 429 || e.Code != CodeRateLimited || e.RetryAfter != time.Hour || e.Attempts != 0 {
			t.Errorf("error = %+v", e)
		}
		if p.Usable() {
			t.Error("a pool without a usable key is usable")
		}
		time.Sleep(time.Hour)
		if code, _, _ := p.call(t, chat("m")); code != 200 || len(up.seen()) != 2 {
			t.Errorf("answer %d after %d calls", code, len(up.seen()))
		}
	})
}

func TestCall_never_uses_a_limited_key_before_its_time(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{
			Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{"a", "A", 1}, {"b", "B", 1}, {"c", "C", 1}}}},
			Retry:     retries,
		})
		var limited time.Time
		inMemory(t, p, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer B" {
				return
			}
			if time.Since(limited) < time.Minute {
				t.Errorf("the limited key was used %v after its 429", time.Since(limited))
			}
			limited = time.Now()
			w.Header().Set("X-Ratelimit-Reset-Requests", "1m0s")
			w.WriteHeader(429)
		})
		for range 100 {
			if code, _, _ := p.call(t, chat("m")); code != 200 {
				t.Fatalf("answer %d", code)
			}
			time.Sleep(3 * time.Second)
		}
	})
}

func TestCall_leaves_a_bad_key_out_and_probes_it_later(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		p := newPool(t, Options{
			Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{"good", "G", 1}, {"bad", "B", 1}}}},
			Retry:     retries, Log: logTo(&log),
		})
		healed := false
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer B" && !healed {
				w.WriteHeader(401)
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
		time.Sleep(outFor + time.Second)
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
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{"x", "X", 1}, {"y", "Y", 1}}}}, Retry: retries})
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
			w.WriteHeader(401)
		} else if r.Header.Get("X-Model") == "secret" {
			w.WriteHeader(403)
		}
	}
	up := newFake(t, deny)
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{"x", "X", 1}}}}, Retry: retries})
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

func TestCall_repeats_a_passing_failure_on_the_same_upstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []Attempt
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries, OnAttempt: func(a Attempt) { attempts = append(attempts, a) }})
		ups := inMemory(t, p, once(500), status(200))
		code, _, answer := p.call(t, chat("m"))
		if code != 200 || answer.Upstream != "a" || len(ups[0].seen()) != 2 || len(ups[1].seen()) != 0 {
			t.Errorf("answer %d from %s", code, answer.Upstream)
		}
		if len(attempts) != 2 || attempts[0].Outcome != OutcomeServerError || attempts[0].Status != 500 || attempts[1].Outcome != OutcomeOK {
			t.Errorf("attempts = %+v", attempts)
		}
	})
}

func TestCall_falls_back_within_the_retry_budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, attempts := range []int{1, 2, 3} {
			p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: Retry{Attempts: attempts}})
			ups := inMemory(t, p, status(503), status(200))
			code, _, answer := p.call(t, chat("m"))
			if code != 200 || answer.Upstream != "b" || answer.Model != "other" || answer.Attempts != min(attempts, 2)+1 {
				t.Errorf("%d retries: answer %d from %s %s after %d", attempts, code, answer.Upstream, answer.Model, answer.Attempts)
			}
			if got := ups[1].seen()[0].body; got != `{"model":"other","messages":[]}` {
				t.Errorf("the fallback was sent %s", got)
			}
		}
	})
}

func TestCall_with_nowhere_to_go_passes_the_original_error(t *testing.T) {
	big := strings.Repeat("<html>", 1<<20)
	for name, body := range map[string]string{"small": "busy", "big": big} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
				up := inMemory(t, p, func(n int, w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("X-Call", string(rune('0'+n)))
					w.WriteHeader(503)
					io.WriteString(w, body)
				})[0]
				code, got, answer := p.call(t, chat("m"))
				if code != 503 || got != body || answer.Header.Get("X-Call") != "3" || len(up.seen()) != 3 {
					t.Errorf("answer %d with %d bytes, call %s", code, len(got), answer.Header.Get("X-Call"))
				}
			})
		})
	}
}

func TestCall_passes_the_last_answer_even_if_the_fallback_has_none(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: Retry{Attempts: 1}})
		inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			io.WriteString(w, "busy")
		}, func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if code, body, answer := p.call(t, chat("m")); code != 503 || body != "busy" || answer.Upstream != "a" || answer.Attempts != 2 {
			t.Errorf("answer %d %q from %s", code, body, answer.Upstream)
		}
	})
}

func TestCall_survives_a_connection_that_is_reset_before_the_head(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			readRequest(conn)
			if n == 0 {
				conn.(*net.TCPConn).SetLinger(0)
			} else {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			}
			conn.Close()
		}
	})
	defer served.Wait()
	defer listener.Close()
	p := newPool(t, Options{Upstreams: one("http://" + listener.Addr().String()), Retry: Retry{Attempts: 1, Base: time.Millisecond}})
	if code, body, answer := p.call(t, chat("m")); code != 200 || body != "ok" || answer.Attempts != 2 {
		t.Errorf("answer %d %q after %d attempts", code, body, answer.Attempts)
	}
}

func TestCall_does_not_show_a_stale_connection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			readRequest(conn)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			if n == 0 {
				readRequest(conn) // the next request of the connection is dropped
			}
			conn.Close()
		}
	})
	defer served.Wait()
	defer listener.Close()
	p := newPool(t, Options{Upstreams: one("http://" + listener.Addr().String())})
	for range 2 {
		if code, body, answer := p.call(t, chat("m")); code != 200 || body != "ok" || answer.Attempts != 1 {
			t.Errorf("answer %d %q after %d attempts", code, body, answer.Attempts)
		}
	}
}

func readRequest(conn net.Conn) {
	var got []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(got), `"messages":[]}`) {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		got = append(got, buf[:n]...)
	}
}

func TestCall_asks_a_silent_upstream_once_and_falls_back(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		ups := inMemory(t, p, hang, status(200))
		start := time.Now()
		code, _, answer := p.call(t, chat("m"))
		if code != 200 || answer.Upstream != "b" || len(ups[0].seen()) != 1 || time.Since(start) != DefaultHeaders {
			t.Errorf("answer %d from %s after %v", code, answer.Upstream, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
		up := inMemory(t, p, hang)[0]
		e := p.mustFail(t, chat("m"))
		if e.Status != 504 || e.Code != CodeTimeout || len(up.seen()) != 1 {
			t.Errorf("error = %+v after %d calls", e, len(up.seen()))
		}
	})
}

func TestCall_never_repeats_what_the_client_did_wrong(t *testing.T) {
	for _, body := range []string{`{"error":{"code":"context_length_exceeded"}}`, `{"error":{"code":"content_policy_violation"}}`} {
		up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			io.WriteString(w, body)
		})
		p := newPool(t, Options{Upstreams: one(up.URL), Retry: retries, Breaker: Breaker{Consecutive: 1, MinCalls: 1}})
		for range 5 {
			if code, got, answer := p.call(t, chat("m")); code != 400 || got != body || answer.Attempts != 1 {
				t.Errorf("answer %d %q after %d attempts", code, got, answer.Attempts)
			}
		}
	}
}

func TestCall_recovers_soon_after_the_upstream_and_probes_it_rarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		start := time.Now()
		ups := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if time.Since(start) < time.Minute {
				w.WriteHeader(503)
			}
		}, status(200))
		var back time.Duration
		for time.Since(start) < 2*time.Minute {
			code, _, answer := p.call(t, chat("m"))
			if code != 200 {
				t.Fatalf("answer %d at %v", code, time.Since(start))
			}
			if answer.Upstream == "a" && back == 0 {
				back = time.Since(start)
				if n := len(ups[0].seen()); n > 20 {
					t.Errorf("%d calls while it was down", n)
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
		if back < time.Minute || back > 90*time.Second {
			t.Errorf("back after %v", back)
		}
	})
}

func TestCall_keeps_amplification_low(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
		random := rand.New(rand.NewPCG(1, 2))
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if random.IntN(2) == 0 {
				w.WriteHeader(500)
			}
		})[0]
		const calls = 300
		for range calls {
			if answer, err := p.Do(t.Context(), chat("m")); err == nil {
				answer.Finish(Completed)
			}
		}
		if n := len(up.seen()); n > calls*22/10 {
			t.Errorf("%d attempts for %d calls", n, calls)
		}
	})
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
		synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
		ups := []Upstream{
			{Name: "a", URL: "http://a", Keys: []Key{{"k", "pool", 1}}, Headers: map[string]string{"X-Secret": "of a", "host": "a.example"}},
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

func TestCall_ends_when_its_context_does(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Breaker: Breaker{Consecutive: 1}, Retry: retries})
		ended := make(chan time.Time, 10)
		inMemory(t, p, func(n int, _ http.ResponseWriter, r *http.Request) {
			if n <= 5 {
				<-r.Context().Done()
				ended <- time.Now()
			}
		})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := p.Do(ctx, chat("m"))
			var e *Error
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || e.Code != CodeClientGone {
				t.Errorf("error = %v", err)
			}
			if late := time.Since(<-ended); late > 0 {
				t.Errorf("the upstream's call ended %v late", late)
			}
			cancel()
		}
		if code, _, _ := p.call(t, chat("m")); code != 200 {
			t.Error("clients that left opened the breaker")
		}
	})
}
