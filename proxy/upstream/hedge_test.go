package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

const hedgeAfter = 10 * time.Second

func TestHedge_hears_who_speaks_first(t *testing.T) {
	late := func(d time.Duration) func(int, http.ResponseWriter, *http.Request) {
		return events(data(role), d, data(hello))
	}
	for name, test := range map[string]struct {
		first, second func(int, http.ResponseWriter, *http.Request)
		want          string
		after         time.Duration
		calls         int
	}{
		"the first in time":              {late(9 * time.Second), late(0), "a", 9 * time.Second, 0},
		"the second":                     {late(20 * time.Second), late(time.Second), "b", 11 * time.Second, 1},
		"the first after all":            {late(12 * time.Second), late(time.Minute), "a", 12 * time.Second, 1},
		"the second, the first is mute":  {hang, late(time.Second), "b", 11 * time.Second, 1},
		"the first, the second fails":    {late(20 * time.Second), status(500), "a", 20 * time.Second, 1},
		"the first, the second refuses":  {late(20 * time.Second), status(400), "a", 20 * time.Second, 1},
		"the second, the first fails":    {events(12*time.Second, errCut), late(5 * time.Second), "b", 15 * time.Second, 1},
		"the second, after error events": {events(12*time.Second, data(`{"error":{}}`)), late(5 * time.Second), "b", 15 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				var outcomes []string
				p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: Retry{Attempts: 1}, HedgeAfter: hedgeAfter,
					OnAttempt: func(a Attempt) { outcomes = append(outcomes, a.Outcome) }})
				ups := inMemory(t, p, test.first, test.second)
				start := time.Now()
				answer, err := p.Do(t.Context(), streaming())
				if err != nil || answer.Upstream != test.want || time.Since(start) != test.after {
					t.Fatalf("answered after %v: %+v, %v", time.Since(start), answer, err)
				}
				if n := len(ups[1].seen()); n != test.calls || answer.Attempts != 1+n || answer.Hedged != (n == 1) {
					t.Errorf("%d calls of the second, %d attempts, hedged %v", n, answer.Attempts, answer.Hedged)
				}
				answer.Finish(ClientGone)
				for _, s := range p.Status() {
					if s.InFlight != 0 {
						t.Errorf("%s has %d in flight", s.Upstream, s.InFlight)
					}
				}
				if len(outcomes) != answer.Attempts || !slices.Contains(outcomes, OutcomeOK) {
					t.Errorf("outcomes %v", outcomes)
				}
			})
		})
	}
}

func TestHedge_blames_nobody_for_being_outrun(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), HedgeAfter: hedgeAfter, Breaker: Breaker{Consecutive: 1, MinCalls: 1}})
		ended := make(chan struct{}, 9)
		inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			hang(n, w, r)
			ended <- struct{}{}
		}, events(data(hello)))
		for range 5 {
			_, body, answer := p.call(t, streaming())
			if <-ended; body != data(hello) || answer.Upstream != "b" || answer.Model != "other" {
				t.Errorf("answer %q from %s", body, answer.Upstream)
			}
		}
	})
}

func TestHedge_of_two_failures_is_a_failure_and_goes_on(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := append(two(), Upstream{Name: "c", URL: "http://c"})
		route := []Route{{Model: "*", To: []Candidate{{"a", ""}, {"b", ""}, {"c", ""}}}}
		p := newPool(t, Options{Upstreams: ups, Routes: route, Retry: Retry{Attempts: 2}, HedgeAfter: hedgeAfter})
		fakes := inMemory(t, p, events(12*time.Second, errCut), events(5*time.Second, data(`{"error":{}}`)), events(data(hello)))
		if _, body, answer := p.call(t, streaming()); body != data(hello) || answer.Upstream != "c" || answer.Attempts != 3 || !answer.Hedged {
			t.Errorf("answer %q from %s after %d attempts", body, answer.Upstream, answer.Attempts)
		}
		if len(fakes[0].seen()) != 1 || len(fakes[1].seen()) != 1 {
			t.Errorf("%d and %d calls", len(fakes[0].seen()), len(fakes[1].seen()))
		}
	})
}

func TestHedge_is_not_for_every_call(t *testing.T) {
	whole := func(_ int, _ http.ResponseWriter, _ *http.Request) { time.Sleep(time.Minute) }
	upload := &Request{Method: "POST", Target: "/files", Body: `{"stream":true}`, Model: "m"}
	aside := streaming()
	aside.Background = true
	for name, test := range map[string]struct {
		request *Request
		routes  []Route
		after   time.Duration
	}{
		"no stream":         {chat("m"), toBoth(), hedgeAfter},
		"no fallback":       {streaming(), nil, hedgeAfter},
		"not asked for":     {streaming(), toBoth(), 0},
		"a background call": {aside, toBoth(), hedgeAfter},
		"an effect":         {upload, toBoth(), hedgeAfter},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: two(), Routes: test.routes, HedgeAfter: test.after})
			ups := inMemory(t, p, whole, status(200))
			if _, _, answer := p.call(t, test.request); answer.Upstream != "a" || answer.Hedged || len(ups[1].seen()) != 0 {
				t.Errorf("%s: answer from %s, hedged %v", name, answer.Upstream, answer.Hedged)
			}
		})
	}
}

func TestHedge_ends_both_calls_with_the_client(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), HedgeAfter: hedgeAfter, Retry: retries})
		ended := make(chan time.Time, 2)
		quit := func(n int, w http.ResponseWriter, r *http.Request) {
			hang(n, w, r)
			ended <- time.Now()
		}
		inMemory(t, p, quit, quit)
		ctx, cancel := context.WithTimeout(t.Context(), 2*hedgeAfter)
		defer cancel()
		start := time.Now()
		if _, err := p.Do(ctx, streaming()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		for range 2 {
			if at := <-ended; at.Sub(start) != 2*hedgeAfter {
				t.Errorf("a call ended after %v", at.Sub(start))
			}
		}
	})
}

func TestHedge_does_not_queue(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := two()
		ups[1].MaxInFlight = 1
		p := newPool(t, Options{Upstreams: ups, Routes: toBoth(), HedgeAfter: hedgeAfter})
		inMemory(t, p, events(data(role), 15*time.Second, data(hello)), hang)
		ctx, cancel := context.WithCancel(t.Context())
		go p.upstreams[1].gate.enter(ctx, &ticket{}, 0)
		synctest.Wait()
		start := time.Now()
		if _, _, answer := p.call(t, streaming()); answer.Upstream != "a" || answer.Hedged || time.Since(start) != 15*time.Second {
			t.Errorf("answer from %s after %v", answer.Upstream, time.Since(start))
		}
		cancel()
	})
}
