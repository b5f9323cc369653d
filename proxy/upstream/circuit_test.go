package upstream

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"mnemo/internal/bubble"
)

func newTestCircuits(b Breaker) *circuits {
	return newCircuits("a", b.withDefaults(), DefaultOpenMax, slog.New(slog.DiscardHandler))
}

// nearly allows for the jitter of the time open.
func nearly(got, want time.Duration) bool { return got <= want && got >= want-want/openJitter }

// feed makes a call with an effect and reports whether it was admitted.
func (c *circuit) feed(effect breakerEffect) bool {
	done, _ := c.enter()
	if done == nil {
		return false
	}
	c.head(done, effect, false)
	return true
}

func TestCircuit_opens_at_the_failure_ratio_of_enough_calls(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{MinCalls: 10, FailureRatio: 0.5}).of("m")
		for i := range 9 {
			c.feed([]breakerEffect{countFailure, countSuccess}[i%2])
		}
		if c.isOpen() {
			t.Error("open after too few calls")
		}
		c.feed(countFailure)
		if !c.isOpen() {
			t.Error("closed at the ratio")
		}
	})
}

func TestCircuit_forgets_what_is_older_than_its_window(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{MinCalls: 10, Consecutive: 100}).of("m")
		for range 100 {
			c.feed(countFailure)
			time.Sleep(DefaultWindow / 8)
		}
		if c.isOpen() {
			t.Error("opened by failures that are spread over many windows")
		}
	})
}

func TestCircuit_opens_after_failures_in_a_row(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{}).of("m")
		for i := range DefaultConsecutive {
			if c.isOpen() {
				t.Fatalf("open after %d failures", i)
			}
			c.feed(countFailure)
			c.feed(countNothing) // neither ends the row nor adds to it
		}
		done, wait := c.enter()
		if done != nil || !nearly(wait, DefaultOpen) {
			t.Errorf("admitted, or wait %v", wait)
		}
	})
}

func TestCircuit_admits_one_probe_at_a_time(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{Consecutive: 1}).of("m")
		c.feed(countFailure)
		time.Sleep(DefaultOpen + 1)
		probe, _ := c.enter()
		if second, wait := c.enter(); probe == nil || second != nil || wait <= 0 {
			t.Error("not exactly one probe was admitted")
		}
		c.head(probe, countNothing, false)
		probe, _ = c.enter() // the client of the first left: the next may try
		c.head(probe, countFailure, false)
		if !c.isOpen() {
			t.Error("a failed probe closed the breaker")
		}
		time.Sleep(2*DefaultOpen + 1)
		probe, _ = c.enter()
		c.head(probe, countSuccess, true)
		for range 2 {
			if !c.feed(countSuccess) {
				t.Error("a good head did not close the breaker")
			}
		}
	})
}

func TestCircuit_counts_a_body_once_at_its_end(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{Consecutive: 3}).of("m")
		for range 3 {
			done, _ := c.enter()
			c.head(done, countSuccess, true)
			time.Sleep(5 * DefaultWindow) // longer than any window
			c.end(countFailure)
			c.feed(countSuccess)
		}
		if c.isOpen() {
			t.Error("failures with successes between them count as a row")
		}
		for range 3 {
			done, _ := c.enter()
			c.head(done, countSuccess, true)
			c.end(countFailure)
		}
		if !c.isOpen() {
			t.Error("cut bodies did not open the breaker")
		}
		c.end(countSuccess) // of a body that began before
		if !c.isOpen() {
			t.Error("a late success closed an open breaker")
		}
	})
}

func TestCircuits_are_bounded_and_make_room_for_models_in_use(t *testing.T) {
	all := newTestCircuits(Breaker{})
	failing := all.of("failing")
	failing.feed(countFailure)
	for i := range 10 * maxCircuits {
		all.of(fmt.Sprint("invented", i)).feed(countSuccess)
	}
	if n := len(*all.byModel.Load()); n > maxCircuits {
		t.Errorf("%d breakers", n)
	}
	if all.of("failing") != failing {
		t.Error("a breaker with failures was dropped")
	}
	if all.of(strings.Repeat("x", maxCircuitName+1)) != all.shared {
		t.Error("an endless name has a breaker of its own")
	}
	for i := range maxCircuits {
		all.of(fmt.Sprint("bad", i)).feed(countFailure)
	}
	if all.of("one more") != all.shared {
		t.Error("the bound was passed")
	}
}

func TestCircuits_make_one_breaker_for_a_model_that_many_ask_for(t *testing.T) {
	all := newTestCircuits(Breaker{})
	var wait sync.WaitGroup
	var got sync.Map
	for range 8 {
		wait.Go(func() { got.Store(all.of("m"), true) })
	}
	wait.Wait()
	n := 0
	got.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d breakers for one model", n)
	}
}

func TestCircuits_of_one_model_do_not_close_the_others(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log strings.Builder
		p := newPool(t, Options{Upstreams: one("http://a"), Breaker: Breaker{Consecutive: 3}, Log: logTo(&log)})
		up := inMemory(t, p, func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Model") == "bad" {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})[0]
		bad := func() *Request {
			r := chat("bad")
			r.Header.Set("X-Model", "bad")
			return r
		}
		for range 3 {
			if code, _, _ := p.call(t, bad()); code != 500 {
				t.Errorf("answer %d", code)
			}
		}
		if e := p.mustFail(t, bad()); e.Code != CodeUnavailable || e.Status != 503 || !nearly(e.RetryAfter, DefaultOpen) || e.Attempts != 0 {
			t.Errorf("error = %+v", e)
		}
		if code, _, _ := p.call(t, chat("good")); code != 200 || len(up.seen()) != 4 {
			t.Errorf("answer %d", code)
		}
		if !p.Usable() || strings.Count(log.String(), "breaker changed") != 1 {
			t.Errorf("usable %v, log %s", p.Usable(), log.String())
		}
	})
}

func TestCircuit_stays_open_longer_after_every_failed_probe(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{Consecutive: 1, Open: 2 * time.Second}).of("m")
		c.feed(countFailure)
		for _, want := range []time.Duration{2, 4, 8, 16, 30, 30} {
			if left := c.left(); !nearly(left, want*time.Second) {
				t.Errorf("open for %v, want %vs", left, int(want))
			}
			if c.feed(countFailure) {
				t.Error("an open circuit admitted a call")
			}
			time.Sleep(c.left() + 1)
			if c.isOpen() || !c.feed(countFailure) {
				t.Error("the probe was not admitted in time")
			}
		}
		time.Sleep(c.left() + 1)
		c.feed(countSuccess)
		c.feed(countFailure)
		if left := c.left(); !nearly(left, 2*time.Second) {
			t.Errorf("open for %v after a recovery", left)
		}
	})
}

func TestCircuit_is_not_closed_by_a_body_that_began_before_it_opened(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		c := newTestCircuits(Breaker{Consecutive: 1}).of("m")
		old, _ := c.enter()
		c.head(old, countSuccess, true)
		c.feed(countFailure)
		time.Sleep(DefaultOpen + 1)
		c.end(countSuccess)
		c.end(countFailure)
		probe, _ := c.enter()
		if second, _ := c.enter(); probe == nil || second != nil {
			t.Error("an old body took the probe's place")
		}
		c.head(probe, countSuccess, false)
		c.end(countFailure) // of the closed circuit it is the business
		if !c.isOpen() {
			t.Error("a cut body was not counted")
		}
	})
}

func TestCircuit_takes_nobody_for_a_probe_who_came_just_before_it_opened(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{Consecutive: 1})
		c := all.of("call")
		c.feed(countFailure)
		time.Sleep(time.Millisecond)
		if c.admit() != nil {
			t.Error("a call that found it closed was admitted when it was open")
		}
		c = all.of("body")
		c.feed(countFailure)
		time.Sleep(DefaultOpen)
		c.state.Store(int32(gobreaker.StateClosed)) // as a body saw it that ended a moment ago
		c.end(countSuccess)
		if c.current() != gobreaker.StateHalfOpen || !c.feed(countFailure) || !nearly(c.left(), 2*DefaultOpen) {
			t.Error("a body that ended was taken for a probe")
		}
	})
}

func TestCircuit_that_was_open_for_weeks_is_open_for_no_longer_at_a_time(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		const open, longest = 12 * time.Hour, 30 * time.Hour
		c := newCircuits("a", Breaker{Consecutive: 1, Open: open}.withDefaults(), longest, slog.New(slog.DiscardHandler)).of("m")
		for n := range 30 {
			want := min(open<<min(n, 2), longest)
			if !c.feed(countFailure) || !nearly(c.left(), want) {
				t.Fatalf("open for %v after %d probes", c.left(), n)
			}
			time.Sleep(longest)
		}
	})
}
