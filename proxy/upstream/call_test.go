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
	"time"

	"mnemo/internal/bubble"
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

func TestCall_repeats_a_passing_failure_on_the_same_upstream(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
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
	bubble.Test(t, func(t *testing.T) {
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
			bubble.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
				up := inMemory(t, p, func(n int, w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("X-Call", string(rune('0'+n)))
					w.WriteHeader(http.StatusServiceUnavailable)
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
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: Retry{Attempts: 1}})
		inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
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

func TestCall_sends_once_if_a_fresh_connection_dies(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a")})
		up := inMemory(t, p, func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })[0]
		if e := p.mustFail(t, chat("m")); e.Status != 502 || e.Code != CodeUnreachable || len(up.seen()) != 1 {
			t.Errorf("error = %+v after %d calls", e, len(up.seen()))
		}
	})
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
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		ups := inMemory(t, p, hang, status(200))
		start := time.Now()
		code, _, answer := p.call(t, chat("m"))
		if code != 200 || answer.Upstream != "b" || len(ups[0].seen()) != 1 || time.Since(start) != DefaultHeaders {
			t.Errorf("answer %d from %s after %v", code, answer.Upstream, time.Since(start))
		}
	})
	bubble.Test(t, func(t *testing.T) {
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
			w.WriteHeader(http.StatusBadRequest)
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
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		start := time.Now()
		ups := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if time.Since(start) < time.Minute {
				w.WriteHeader(http.StatusServiceUnavailable)
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
				if n := len(ups[0].seen()); n > DefaultConsecutive+10 {
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
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
		random := rand.New(rand.NewPCG(1, 2))
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			if random.IntN(2) == 0 {
				w.WriteHeader(http.StatusInternalServerError)
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

func TestCall_ends_when_its_context_does(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
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
