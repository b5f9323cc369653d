package upstream

import (
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestPolicy_least_in_flight_fills_the_emptiest_key_for_its_weight(t *testing.T) {
	r := ring(Key{Label: "a", Value: "1", Weight: 1}, Key{Label: "b", Value: "2", Weight: 3})
	r.policy = LeastInFlight
	if got := shares(r, 40, time.Now()); !maps.Equal(got, map[string]int{"a": 10, "b": 30}) {
		t.Errorf("nobody left: %v", got)
	}
	for range 10 {
		r.keys[0].leave()
	}
	if got := shares(r, 10, time.Now()); got["a"] != 10 {
		t.Errorf("a became free: %v", got)
	}
}

func TestPolicy_headroom_prefers_the_key_with_the_most_left(t *testing.T) {
	now := time.Now()
	r := ring(Key{Label: "a", Value: "1"}, Key{Label: "b", Value: "2"})
	r.policy = Headroom
	tell := func(k int, left string) {
		r.learn(r.keys[k], http.Header{"X-Ratelimit-Remaining-Requests": {left}, "X-Ratelimit-Limit-Requests": {"100"},
			"X-Ratelimit-Reset-Requests": {"60s"}}, now)
	}
	tell(0, "90")
	tell(1, "50")
	if got := shares(r, 10, now); got["a"] != 10 {
		t.Errorf("with 90 and 50 left: %v", got)
	}
	got := shares(r, 50, now) // 90-50 left of a, 50-10 of b
	if got["a"] != 40 || got["b"] != 10 {
		t.Errorf("calls under way are not reckoned: %v", got)
	}
}

func TestPolicy_sends_calls_where_it_says(t *testing.T) {
	up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		left := "80"
		if r.Header.Get("Authorization") == "Bearer A" {
			left = "3"
		}
		w.Header().Set("x-ratelimit-remaining-tokens", left)
		w.Header().Set("x-ratelimit-limit-tokens", "100")
		w.Header().Set("x-ratelimit-reset-tokens", "1h")
	})
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, KeyPolicy: Headroom,
		Keys: []Key{{Label: "a", Value: "A"}, {Label: "b", Value: "B"}}}}})
	used := map[string]int{}
	for range 20 {
		_, _, answer := p.call(t, chat("m"))
		used[answer.Key]++
	}
	if used["a"] != 1 || used["b"] != 19 {
		t.Errorf("used %v", used)
	}
	for _, k := range p.upstreams[0].keys.keys {
		if n := k.inFlight.Load(); n != 0 {
			t.Errorf("key %s has %d calls in flight", k.label, n)
		}
	}
}

func TestPolicy_shares_by_weight_among_many_callers(t *testing.T) {
	const together = 4 // calls are answered when so many are there: none can lag behind
	var mu sync.Mutex
	waiting, all := 0, make(chan struct{})
	up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		mine := all
		if waiting++; waiting == together {
			waiting, all = 0, make(chan struct{})
			close(mine)
		}
		mu.Unlock()
		<-mine
		w.WriteHeader(http.StatusOK)
	})
	for _, policy := range []KeyPolicy{Weighted, LeastInFlight, Headroom} {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL, KeyPolicy: policy,
			Keys: []Key{{Label: "a", Value: "A", Weight: 1}, {Label: "b", Value: "B", Weight: 1}}}}})
		used := map[string]int{}
		var callers sync.WaitGroup
		for range together {
			callers.Go(func() {
				for range 25 {
					_, _, answer := p.call(t, chat("m"))
					mu.Lock()
					used[answer.Key]++
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		if used["a"] < 40 || used["b"] < 40 {
			t.Errorf("%s: used %v", policy, used)
		}
	}
}
