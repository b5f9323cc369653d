package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestCircuit_ignores_what_is_no_fault_of_the_upstream(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Breaker: Breaker{Consecutive: 1, MinCalls: 1}})
		inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			if code := []int{400, 404, 413, 422, 429, 0}[n%6]; code != 0 {
				w.WriteHeader(code)
				return
			}
			<-r.Context().Done()
		})
		for range 30 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if answer, err := p.Do(ctx, chat("m")); err == nil {
				answer.Finish(ClientGone)
			} else if errors.As(err, new(*Error)) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			cancel()
		}
	})
}

func TestCircuit_gives_a_probe_that_its_client_left_to_the_next_call(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Breaker: Breaker{Consecutive: 1}})
		inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				w.WriteHeader(http.StatusInternalServerError)
			case 2:
				<-r.Context().Done()
			}
		})
		p.call(t, chat("m"))
		time.Sleep(DefaultOpen)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Do(ctx, chat("m")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if code, _, _ := p.call(t, chat("m")); code != 200 {
			t.Errorf("answer %d", code)
		}
	})
}

func TestCircuit_spares_a_dead_upstream_and_is_back_in_time(t *testing.T) {
	for _, down := range []time.Duration{time.Minute, 95 * time.Second, 10 * time.Minute} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
			start := time.Now()
			ups := inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
				if time.Since(start) < down {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}, status(200))
			opened, back := 0, time.Duration(0)
			for back == 0 && time.Since(start) < down+time.Minute {
				code, _, answer := p.call(t, chat("m"))
				if code != 200 {
					t.Fatalf("answer %d at %v", code, time.Since(start))
				}
				if opened == 0 && p.upstreams[0].circuits.of("m").isOpen() {
					opened = len(ups[0].seen())
				}
				if answer.Upstream == "a" {
					back = time.Since(start) - down
				}
				time.Sleep(300 * time.Millisecond)
			}
			if back <= 0 || back > 30*time.Second {
				t.Errorf("down for %v: back after %v", down, back)
			}
			if probes := len(ups[0].seen()) - opened; opened > 2*DefaultConsecutive || probes > 4+int(down/(20*time.Second)) {
				t.Errorf("down for %v: %d calls until it opened, %d later", down, opened, probes)
			}
		})
	}
}

func TestCircuit_of_a_dead_upstream_costs_no_caller_anything(t *testing.T) {
	dead, alive := newFake(t, status(503)), newFake(t, status(200))
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: dead.URL}, {Name: "b", URL: alive.URL}}, Routes: toBoth(),
		Retry: Retry{Attempts: 2, Base: time.Millisecond},
	})
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 10 {
				if code, _, answer := p.call(t, chat("m")); code != 200 || answer.Upstream != "b" || answer.Model != "other" {
					t.Errorf("answer %d from %s", code, answer.Upstream)
				}
			}
		})
	}
	callers.Wait()
	if n := len(dead.seen()); n < DefaultConsecutive || n > DefaultConsecutive+2*20 {
		t.Errorf("%d calls of the dead upstream", n)
	}
}

func TestCircuit_counts_silence_that_lasts_longer_than_its_window(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries, Breaker: Breaker{Consecutive: 3}})
		ups := inMemory(t, p, hang, status(200))
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() { p.call(t, chat("m")) })
		}
		callers.Wait()
		start := time.Now()
		if _, _, answer := p.call(t, chat("m")); answer.Upstream != "b" || time.Since(start) > 0 || len(ups[0].seen()) != 3 {
			t.Errorf("answer of %s after %v", answer.Upstream, time.Since(start))
		}
	})
}
