package upstream

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestCooldown_is_what_the_headers_say(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"nothing":                       {nil, 0},
		"milliseconds":                  {map[string]string{"retry-after-ms": "1500"}, 1500 * time.Millisecond},
		"milliseconds before seconds":   {map[string]string{"retry-after-ms": "20", "retry-after": "9"}, 20 * time.Millisecond},
		"bad milliseconds":              {map[string]string{"retry-after-ms": "soon", "retry-after": "9"}, 9 * time.Second},
		"seconds":                       {map[string]string{"retry-after": "2"}, 2 * time.Second},
		"half seconds":                  {map[string]string{"retry-after": "0.5"}, 500 * time.Millisecond},
		"hours":                         {map[string]string{"retry-after": "7200"}, 2 * time.Hour},
		"beyond belief":                 {map[string]string{"retry-after": "1e300"}, maxCooldown},
		"not a number":                  {map[string]string{"retry-after": "NaN"}, 0},
		"negative":                      {map[string]string{"retry-after": "-4"}, 0},
		"date":                          {map[string]string{"retry-after": "Sun, 01 Mar 2026 12:00:07 GMT"}, 7 * time.Second},
		"past date":                     {map[string]string{"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0},
		"reset of requests":             {map[string]string{"x-ratelimit-reset-requests": "6m0s"}, 6 * time.Minute},
		"reset of tokens":               {map[string]string{"x-ratelimit-reset-tokens": "20ms"}, 20 * time.Millisecond},
		"reset in plain seconds":        {map[string]string{"x-ratelimit-reset-tokens": "3"}, 3 * time.Second},
		"the later reset":               {map[string]string{"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "4s"}, 4 * time.Second},
		"the reset of what is used up":  {map[string]string{"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "4s", "x-ratelimit-remaining-tokens": "9"}, time.Second},
		"the later, both being used up": {map[string]string{"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "4s", "x-ratelimit-remaining-tokens": "0"}, 4 * time.Second},
		"Retry-After before any reset":  {map[string]string{"retry-after": "1", "x-ratelimit-reset-requests": "1m"}, time.Second},
		"a reset after hours":           {map[string]string{"x-ratelimit-reset-requests": "7h12m0s"}, 7*time.Hour + 12*time.Minute},
		"reset at an instant":           {map[string]string{"x-ratelimit-reset-requests": "2026-03-01T15:00:00Z"}, 3 * time.Hour},
		"reset in Unix seconds":         {map[string]string{"x-ratelimit-reset-requests": "1772366460"}, time.Minute},
		"a reset that is no time":       {map[string]string{"x-ratelimit-reset-requests": "later"}, 0},
	} {
		h := http.Header{}
		for k, v := range test.header {
			h.Set(k, v)
		}
		if got := cooldown(h, now); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestCall_waits_for_a_limited_key_as_long_as_it_was_told(t *testing.T) {
	for name, keys := range map[string][]Key{"pool": {{Label: "k", Value: "secret", Weight: 1}}, "client": nil} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
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
	for name, keys := range map[string][]Key{"pool": {{Label: "k", Value: "secret", Weight: 1}}, "client": nil} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: keys}}, Retry: retries})
				up := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusTooManyRequests)
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
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "k", Value: "secret", Weight: 1}}}}, Retry: retries})
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
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{
			Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "a", Value: "A", Weight: 1}, {Label: "b", Value: "B", Weight: 1}, {Label: "c", Value: "C", Weight: 1}}}},
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
			w.WriteHeader(http.StatusTooManyRequests)
		})
		for range 100 {
			if code, _, _ := p.call(t, chat("m")); code != 200 {
				t.Fatalf("answer %d", code)
			}
			time.Sleep(3 * time.Second)
		}
	})
}

func TestCall_loses_no_call_to_one_bad_key_of_two(t *testing.T) {
	bad := map[string]func(w http.ResponseWriter){
		"401": func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
		"402": func(w http.ResponseWriter) { w.WriteHeader(http.StatusPaymentRequired) },
		"quota": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}`)
		},
	}
	for name, refuse := range bad {
		var hits atomic.Int64
		up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer v1" {
				hits.Add(1)
				refuse(w)
			}
		})
		var log strings.Builder
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: fourKeys(1, 1)}}, Retry: retries, Log: logTo(&log)})
		p.call(t, chat("m"))
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				for range 50 {
					if code, _, _ := p.call(t, chat("m")); code != 200 {
						t.Errorf("%s: answer %d", name, code)
					}
				}
			})
		}
		callers.Wait()
		if n := hits.Load(); n == 0 || n > 3 {
			t.Errorf("%s: %d hits on the bad key", name, n)
		}
		if strings.Count(log.String(), "refuses a key") != 1 || p.Status()[0].Keys[1].State != KeyOut {
			t.Errorf("%s: log %s", name, log.String())
		}
	}
}

func TestCall_loses_no_call_to_one_limited_key_of_three(t *testing.T) {
	var now atomic.Int64
	start := time.Now()
	var early atomic.Int64
	var limited atomic.Bool
	up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer v1" {
			if limited.Swap(true) && time.Duration(now.Load()) < 30*time.Second {
				early.Add(1)
			} else if now.Load() == 0 {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}
	})
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: fourKeys(1, 1, 1)}}, Retry: retries,
		Now: func() time.Time { return start.Add(time.Duration(now.Load())) },
	})
	used := 0
	for i := range 400 {
		if i > 10 {
			now.Store(int64(i) * int64(100*time.Millisecond))
		}
		code, _, answer := p.call(t, chat("m"))
		if code != 200 {
			t.Fatalf("answer %d", code)
		}
		if answer.Key == "k1" {
			used++
		}
	}
	if early.Load() != 0 || used == 0 {
		t.Errorf("%d hits before its time, %d after", early.Load(), used)
	}
}

func TestCall_probes_a_refused_key_ever_more_rarely(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: fourKeys(1, 1)}}, Retry: retries})
		var hits []time.Duration
		start := time.Now()
		inMemory(t, p, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer v1" {
				hits = append(hits, time.Since(start))
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		for time.Since(start) < 24*time.Hour {
			p.call(t, chat("m"))
			time.Sleep(time.Minute)
		}
		if n := len(hits); n < 12 || n > 20 || hits[2]-hits[1] < 2*outFor || hits[n-1]-hits[n-2] < longestOut {
			t.Errorf("%d probes at %v", n, hits)
		}
	})
}

func TestCall_does_not_resend_what_must_fail_again(t *testing.T) {
	for _, code := range []int{500, 502, 429} {
		up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, `{"error":{"type":"server_error","code":"context_length_exceeded"}}`)
		})
		p := newPool(t, Options{Upstreams: one(up.URL), Retry: Retry{Attempts: 2, Base: time.Millisecond}})
		if got, body, answer := p.call(t, chat("m")); got != code || answer.Attempts != 1 || faultOf([]byte(body)) != "context_length_exceeded" {
			t.Errorf("answer %d %s after %d attempts", got, body, answer.Attempts)
		}
	}
}
