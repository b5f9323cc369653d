package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func stream(gap time.Duration, n int, then func(w http.ResponseWriter, r *http.Request)) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		for range n {
			io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(gap)
		}
		then(w, r)
	}
}

func wait(_ http.ResponseWriter, r *http.Request)   { <-r.Context().Done() }
func abort(http.ResponseWriter, *http.Request)      { panic(http.ErrAbortHandler) }
func finish(_ http.ResponseWriter, _ *http.Request) {}

func TestFlight_ends_a_stream_that_stalls(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a")})
		inMemory(t, p, stream(33*time.Second, 5, wait))
		answer, err := p.Do(t.Context(), chat("m"))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		body, err := io.ReadAll(answer.Body)
		var timeout interface{ Timeout() bool }
		if !errors.Is(err, ErrStalled) || !errors.As(err, &timeout) || !timeout.Timeout() || len(body) != 45 {
			t.Errorf("read %d bytes, then %v", len(body), err)
		}
		if after := time.Since(start); after != 4*33*time.Second+DefaultStreamIdle {
			t.Errorf("stalled after %v", after)
		}
		answer.Finish(Cut)
		if n := p.Status()[0].InFlight; n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}

func TestFlight_does_not_take_a_slow_client_for_a_stalled_upstream(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a")})
		inMemory(t, p, stream(0, 3, finish))
		answer, err := p.Do(t.Context(), chat("m"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * DefaultStreamIdle)
		if body, err := io.ReadAll(answer.Body); err != nil || len(body) != 27 {
			t.Errorf("read %d bytes, then %v", len(body), err)
		}
		answer.Finish(Completed)
	})
}

func TestFlight_bounds_the_whole_call(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Timeouts: Timeouts{Headers: -1, StreamIdle: -1, Total: 10 * time.Second}}}, Retry: retries})
		inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				stream(time.Second, 20, finish)(n, w, r)
			} else {
				hang(n, w, r)
			}
		})
		start := time.Now()
		answer, err := p.Do(t.Context(), streaming())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(answer.Body); !errors.Is(err, ErrTotal) || time.Since(start) != 10*time.Second {
			t.Errorf("ended after %v with %v", time.Since(start), err)
		}
		answer.Finish(Cut)
		start = time.Now()
		if e := p.mustFail(t, chat("m")); e.Status != 504 || time.Since(start) != 10*time.Second {
			t.Errorf("ended after %v with %v", time.Since(start), e)
		}
	})
}

func TestFlight_without_limits_waits_for_ever(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Timeouts: Timeouts{Headers: -1, StreamIdle: -1, Total: -1}}}})
		inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			time.Sleep(24 * time.Hour)
			stream(24*time.Hour, 2, finish)(n, w, r)
		})
		if code, body, _ := p.call(t, chat("m")); code != 200 || len(body) != 18 {
			t.Errorf("answer %d with %d bytes", code, len(body))
		}
	})
}

func TestFlight_ends_with_its_context(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Breaker: Breaker{Consecutive: 1}})
		ended := make(chan time.Time, 1)
		inMemory(t, p, stream(0, 1, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- time.Now()
		}))
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			answer, err := p.Do(ctx, chat("m"))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, cancel)
			if _, err := io.ReadAll(answer.Body); !errors.Is(err, context.Canceled) {
				t.Errorf("reading ended with %v", err)
			}
			if late := time.Since(<-ended); late > time.Second {
				t.Errorf("the upstream's call ended %v late", late)
			}
			answer.Finish(ClientGone)
		}
	})
}

func TestFlight_counts_cut_streams_against_the_upstream(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Breaker: Breaker{Consecutive: 3}})
		up := inMemory(t, p, stream(0, 2, abort))[0]
		for range 3 {
			answer, err := p.Do(t.Context(), chat("m"))
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); err == nil || len(body) != 18 {
				t.Errorf("a cut stream looks whole: %d bytes, %v", len(body), err)
			}
			answer.Finish(Cut)
			answer.Finish(Completed) // only the first counts
		}
		if e := p.mustFail(t, chat("m")); e.Status != 503 || e.Code != CodeUnavailable || !nearly(e.RetryAfter, DefaultOpen) || len(up.seen()) != 3 {
			t.Errorf("error = %+v", e)
		}
	})
}

func TestFlight_shows_streams_in_flight_until_they_end(t *testing.T) {
	up := newFake(t, stream(0, 1, wait))
	p := newPool(t, Options{Upstreams: one(up.URL)})
	answer, err := p.Do(t.Context(), chat("m"))
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Status()[0].InFlight; n != 1 {
		t.Errorf("%d in flight, want 1", n)
	}
	answer.Body.Close()
	answer.Finish(ClientGone)
	if n := p.Status()[0].InFlight; n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
}

func TestFlight_gives_up_on_a_head_that_drips(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a")})
		done := make(chan struct{})
		inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			defer close(done)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for _, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: "); err == nil; _, err = io.WriteString(conn, "y") {
				time.Sleep(10 * time.Second)
			}
		})
		start := time.Now()
		if e := p.mustFail(t, chat("m")); e.Status != http.StatusGatewayTimeout || time.Since(start) != DefaultHeaders {
			t.Errorf("error %v after %v", e, time.Since(start))
		}
		<-done
	})
}

func TestFlight_does_not_wait_for_a_failing_answer_before_it_tries_again(t *testing.T) {
	for name, rest := range map[string]func(http.ResponseWriter, *http.Request){"breaks off": abort, "drips": wait} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
				inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
					if n == 1 {
						w.WriteHeader(http.StatusServiceUnavailable)
						stream(0, 1, rest)(n, w, r)
					}
				})
				start := time.Now()
				if code, _, answer := p.call(t, chat("m")); code != http.StatusOK || answer.Attempts != 2 || time.Since(start) > 2*time.Second {
					t.Errorf("answer %d after %d attempts and %v", code, answer.Attempts, time.Since(start))
				}
			})
		})
	}
}
