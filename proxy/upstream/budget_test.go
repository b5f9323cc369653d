package upstream

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

// The settings for an upstream that has no fallback and often fails by chance.
// The breaker's defaults are for sooner going elsewhere.
var (
	patient = Retry{Attempts: 9}
	lenient = Breaker{FailureRatio: 0.8, MinCalls: 50, Consecutive: 20}
)

func TestBudget_lets_a_call_succeed_where_half_of_all_attempts_fail(t *testing.T) {
	for seed := range uint64(3) {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: one("http://a"), Retry: patient, Breaker: lenient})
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 0))
			up := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
				time.Sleep(300 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				if random.IntN(2) == 0 {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})[0]
			const calls = 500
			var good atomic.Int64
			var callers sync.WaitGroup
			for range 20 {
				callers.Go(func() {
					for range calls / 20 {
						if code, _, _ := p.call(t, chat("m")); code == 200 {
							good.Add(1)
						}
					}
				})
			}
			callers.Wait()
			if attempts := len(up.seen()); good.Load() < calls*99/100 || attempts > calls*22/10 {
				t.Errorf("seed %d: %d of %d calls succeeded with %d attempts", seed, good.Load(), calls, attempts)
			}
		})
	}
}

func TestBudget_bounds_the_retries_of_an_upstream_that_always_fails(t *testing.T) {
	for ratio, want := range map[float64]int{0: 1000*22/10 + firstTokens, 0.1: 1000*11/10 + firstTokens, -1: 5000} {
		up := newFake(t, status(500))
		p := newPool(t, Options{
			Upstreams: one(up.URL), Retry: Retry{Attempts: 4, Base: 1, Max: 1, Ratio: ratio},
			Breaker: Breaker{FailureRatio: 2, Consecutive: 1 << 30},
		})
		for range 1000 {
			p.call(t, chat("m"))
		}
		if n := len(up.seen()); n > want || n < want-2*firstTokens {
			t.Errorf("ratio %v: %d attempts, want about %d", ratio, n, want)
		}
	}
}

func TestBudget_that_is_spent_leaves_the_way_to_the_fallback_open(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries, Breaker: Breaker{FailureRatio: 2, Consecutive: 1 << 30}})
		ups := inMemory(t, p, status(500), status(200))
		p.upstreams[0].budget.tokens, p.upstreams[0].budget.ratio = 0, 0
		start := time.Now()
		if code, _, answer := p.call(t, chat("m")); code != 200 || answer.Upstream != "b" || len(ups[0].seen()) != 1 || time.Since(start) > 0 {
			t.Errorf("answer %d from %s after %d calls and %v", code, answer.Upstream, len(ups[0].seen()), time.Since(start))
		}
	})
}

func TestBudget_saves_up_to_its_bound(t *testing.T) {
	b := newRetryBudget(1)
	for range 10 * maxTokens {
		b.deposit()
	}
	n := 0
	for b.affords() && b.withdraw() {
		n++
	}
	if n != maxTokens || b.withdraw() {
		t.Errorf("%d retries were saved up", n)
	}
}

func TestCall_begins_no_attempt_after_its_time_for_retries(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: Retry{Attempts: 1000, Within: 10 * time.Second}, Breaker: Breaker{FailureRatio: 2, Consecutive: 1 << 30}})
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusInternalServerError)
		})[0]
		start := time.Now()
		if code, _, _ := p.call(t, chat("m")); code != 500 || time.Since(start) > 11*time.Second || len(up.seen()) < 3 {
			t.Errorf("answer %d after %v and %d attempts", code, time.Since(start), len(up.seen()))
		}
	})
}
