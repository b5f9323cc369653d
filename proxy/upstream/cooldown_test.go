package upstream

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
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
	for name, keys := range map[string][]Key{"pool": {{Label: "k", Value: "secret", Weight: 1}}, "client": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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
