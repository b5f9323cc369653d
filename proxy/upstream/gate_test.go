package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

func bounded(most, perKey int, q Queue, keys ...Key) []Upstream {
	return []Upstream{{Name: "a", URL: "http://a", Keys: keys, MaxInFlight: most, MaxInFlightPerKey: perKey, Queue: q}}
}

// slow answers after a second and remembers the most calls at once.
func slow(most *atomic.Int64) func(int, http.ResponseWriter, *http.Request) {
	var now atomic.Int64
	return func(_ int, _ http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
	}
}

func TestGate_bounds_the_calls_under_way_and_serves_everybody(t *testing.T) {
	for name, test := range map[string]struct {
		upstreams []Upstream
		want      int64
	}{
		"upstream": {bounded(3, 0, Queue{Wait: time.Hour}), 3},
		"key":      {bounded(0, 2, Queue{Wait: time.Hour}, fourKeys(1, 1)...), 4},
		"both":     {bounded(3, 2, Queue{Wait: time.Hour}, fourKeys(1, 1)...), 3},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: test.upstreams})
			var most atomic.Int64
			up := inMemory(t, p, slow(&most))[0]
			var callers sync.WaitGroup
			for i := range 40 {
				callers.Go(func() {
					r := chat("m")
					r.Sticky = fmt.Sprint(i)
					if code, _, _ := p.call(t, r); code != 200 {
						t.Errorf("%s: answer %d", name, code)
					}
				})
			}
			callers.Wait()
			if most.Load() != test.want || len(up.seen()) != 40 {
				t.Errorf("%s: %d at once, want %d", name, most.Load(), test.want)
			}
			if s := p.Status()[0]; s.Queued != 0 || s.InFlight != 0 || p.upstreams[0].gate.taken != 0 {
				t.Errorf("%s: left behind %+v", name, s)
			}
		})
	}
}

func TestGate_lets_tenants_take_turns(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: bounded(1, 0, Queue{Wait: time.Hour})})
		var most atomic.Int64
		up := inMemory(t, p, slow(&most))[0]
		var callers sync.WaitGroup
		for i, tenant := range "greedyyyyyyyyyyys" {
			callers.Go(func() {
				r := chat("m")
				if r.Tenant = "greedy"; tenant == 's' {
					r.Tenant = "small"
				}
				r.Header.Set("X-Tenant", r.Tenant)
				if code, _, _ := p.call(t, r); code != 200 {
					t.Errorf("call %d: answer %d", i, code)
				}
			})
			synctest.Wait()
		}
		callers.Wait()
		if got := up.seen()[2].header.Get("X-Tenant"); got != "small" {
			t.Errorf("a tenant with one call waited behind one with many")
		}
	})
}

func TestGate_that_is_full_says_so(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: bounded(1, 0, Queue{Length: 2, Wait: 5 * time.Second})})
		inMemory(t, p, hang)
		ctx, cancel := context.WithCancel(t.Context())
		failures := make(chan *Error, 9)
		call := func(tenant string) {
			go func() {
				r := chat("m")
				r.Tenant = tenant
				_, err := p.Do(ctx, r)
				var e *Error
				errors.As(err, &e)
				failures <- e
			}()
			synctest.Wait()
		}
		call("a")
		call("a")
		call("a")
		if q := p.Status()[0].Queued; q != 2 {
			t.Errorf("%d queued", q)
		}
		call("a")
		if e := <-failures; e.Status != 503 || e.Code != CodeOverloaded || e.RetryAfter != 5*time.Second || e.Attempts != 0 {
			t.Errorf("error %+v", e)
		}
		call("b") // takes the place of the last of a
		if e := <-failures; e.Status != 429 || e.Code != CodeRateLimited || e.RetryAfter <= 0 {
			t.Errorf("error %+v", e)
		}
		start := time.Now()
		if e := <-failures; e.Status != 503 || time.Since(start) != 5*time.Second {
			t.Errorf("error %+v after %v", e, time.Since(start))
		}
		<-failures
		cancel()
		if e := <-failures; e.Code != CodeClientGone {
			t.Errorf("error %+v", e)
		}
	})
}

func TestGate_forgets_a_client_that_left_the_queue(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: bounded(1, 0, Queue{})})
		var most atomic.Int64
		up := inMemory(t, p, slow(&most))[0]
		var callers sync.WaitGroup
		callers.Go(func() { p.call(t, chat("m")) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := p.Do(ctx, chat("m")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		callers.Wait()
		if code, _, _ := p.call(t, chat("m")); code != 200 || len(up.seen()) != 2 {
			t.Errorf("answer %d after %d calls", code, len(up.seen()))
		}
	})
}

func TestGate_sends_what_found_no_place_to_the_next_candidate(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := append(bounded(1, 0, Queue{Length: -1}), Upstream{Name: "b", URL: "http://b"})
		p := newPool(t, Options{Upstreams: ups, Routes: toBoth()})
		inMemory(t, p, hang, status(200))
		ctx, cancel := context.WithCancel(t.Context())
		go p.Do(ctx, chat("m"))
		synctest.Wait()
		if code, _, answer := p.call(t, chat("m")); code != 200 || answer.Upstream != "b" {
			t.Errorf("answer %d from %s", code, answer.Upstream)
		}
		cancel()
	})
}

func TestGate_has_room_for_the_retry_of_a_call(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: bounded(1, 1, Queue{Length: -1}, fourKeys(1)...), Retry: retries})
		inMemory(t, p, once(500))
		if code, _, answer := p.call(t, chat("m")); code != 200 || answer.Attempts != 2 {
			t.Errorf("answer %d after %d attempts", code, answer.Attempts)
		}
	})
}

func TestGate_lets_those_in_who_wait_for_a_new_key(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: bounded(0, 1, Queue{Wait: time.Hour}, fourKeys(1)...)})
		inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				hang(n, w, r)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		go p.Do(ctx, chat("m"))
		synctest.Wait()
		time.AfterFunc(time.Second, func() {
			if err := p.SetKeys("a", fourKeys(1, 1)); err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		if _, _, answer := p.call(t, chat("m")); answer.Key != "k1" || time.Since(start) != time.Second {
			t.Errorf("answered with key %s after %v", answer.Key, time.Since(start))
		}
		cancel()
	})
}
