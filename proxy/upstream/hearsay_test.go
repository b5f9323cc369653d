package upstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestHearsay_opens_for_as_long_as_it_says_and_no_longer_than_the_bound(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ said, want time.Duration }{
			{time.Second, time.Second}, {DefaultOpenMax, DefaultOpenMax}, {1000 * time.Hour, DefaultOpenMax},
		} {
			all := newTestCircuits(Breaker{})
			c := all.of("m")
			all.hear("m", tt.said)
			if left := c.left(); !nearly(left, tt.want) || !c.isOpen() {
				t.Errorf("%v: open for %v", tt.said, left)
			}
			time.Sleep(tt.want)
			probe, _ := c.enter()
			if second, _ := c.enter(); probe == nil || second != nil {
				t.Errorf("%v: not exactly one probe was admitted", tt.said)
			}
		}
	})
}

func TestHearsay_waits_for_a_probe_before_it_is_believed_again(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{})
		c := all.of("m")
		all.hear("m", time.Second)
		for range 100 { // it cannot be made longer
			time.Sleep(10 * time.Millisecond)
			all.hear("m", DefaultOpenMax)
		}
		all.hear("m", DefaultOpenMax)
		if !c.feed(countFailure) {
			t.Fatal("the probe was not admitted")
		}
		if left := c.left(); !nearly(left, 2*DefaultOpen) {
			t.Errorf("open for %v after a probe that failed", left)
		}
	})
}

func TestHearsay_that_is_wrong_costs_little(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{})
		c := all.of("m")
		var kept, row, longest int
		const calls = 36000
		for range calls { // a call every 100 ms of an hour, and a peer that never tires
			all.hear("m", time.Hour)
			if c.feed(countSuccess) {
				row = 0
			} else {
				kept, row = kept+1, row+1
				longest = max(longest, row)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if longest > 300 || kept > calls/20 {
			t.Errorf("kept off for %d calls, %d in a row", kept, longest)
		}
		all.hear("other", time.Second)
		if kept == 0 || !all.of("other").isOpen() {
			t.Error("nothing is believed any more")
		}
	})
}

func TestHearsay_is_believed_again_when_an_own_finding_agrees(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{Consecutive: 1})
		c := all.of("m")
		deaf := func() time.Duration { return time.Duration(c.hearsay.deaf.Load() - c.now()) }
		wrong := func() time.Duration {
			all.hear("m", 10*time.Second)
			kept := c.left()
			time.Sleep(kept)
			c.feed(countSuccess)
			if all.hear("m", 10*time.Second); c.isOpen() {
				t.Fatal("what was just wrong is believed again")
			}
			return deaf() / kept
		}
		for _, want := range []time.Duration{9, 18, 36, 72, 144, 288, 576, 576} {
			if got := wrong(); got != want {
				t.Errorf("not believed for %d times as long, want %d", got, want)
			}
			time.Sleep(deaf())
		}
		c.feed(countFailure)
		time.Sleep(DefaultOpen)
		c.feed(countSuccess)
		if got := wrong(); got != 9 {
			t.Errorf("after an own finding, not believed for %d times as long", got)
		}
	})
}

func TestHearsay_that_all_is_well_allows_one_probe(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{Consecutive: 1})
		c := all.of("m")
		c.feed(countFailure)
		time.Sleep(time.Second)
		all.hear("m", 0)
		probe, _ := c.enter()
		if second, _ := c.enter(); probe == nil || second != nil {
			t.Fatal("not exactly one probe was admitted")
		}
		c.head(probe, countSuccess, false)
		if !c.feed(countSuccess) || c.until.Load() != 0 {
			t.Error("still open")
		}
		all.hear("m", 0)
		if !c.feed(countSuccess) {
			t.Error("opened by good news")
		}
	})
}

func TestHearsay_that_all_is_well_at_most_doubles_the_probes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{Consecutive: 1})
		c := all.of("m")
		probes := 0
		for range 6000 { // ten minutes
			all.hear("m", 0)
			if c.feed(countFailure) {
				probes++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if most := 4 + 2*int(10*time.Minute/(DefaultOpenMax*4/5)); probes > most {
			t.Errorf("%d probes in ten minutes", probes)
		}
	})
}

func TestHearsay_of_models_that_nobody_asked_for_fills_no_table(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		all := newTestCircuits(Breaker{})
		all.hear(strings.Repeat("x", maxCircuitName+1), time.Second)
		for i := range 10_000 {
			all.hear(fmt.Sprint("m", i), time.Second)
		}
		if n := len(*all.byModel.Load()); n != 0 || len(all.rumours) != maxRumours {
			t.Errorf("%d breakers, %d rumours", n, len(all.rumours))
		}
		if left := all.of("m0").left(); !nearly(left, time.Second) {
			t.Errorf("a model that was heard of begins open for %v", left)
		}
		all.hear("m1", 0)
		if all.of("m1").isOpen() || all.of("m9999").isOpen() {
			t.Error("a model begins open that is well, or that there was no room for")
		}
		time.Sleep(time.Second)
		if all.of("m2").isOpen() {
			t.Error("an old rumour holds")
		}
		for i := range maxRumours {
			all.hear(fmt.Sprint("late", i), time.Second)
		}
		if !all.of(fmt.Sprint("late", maxRumours-1)).isOpen() {
			t.Error("old rumours leave no room for new ones")
		}
	})
}

func TestHearsay_is_seen_as_such(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log strings.Builder
		all := newCircuits("a", Breaker{}.withDefaults(), DefaultOpenMax, logTo(&log))
		all.of("m").feed(countFailure)
		all.hear("m", time.Second)
		status, _ := all.status()
		if s := status[1]; s.Model != "m" || s.State != "open" || s.Wait == 0 || s.Calls != 0 {
			t.Errorf("status = %+v", s)
		}
		if !strings.Contains(log.String(), "to=open heard=true") {
			t.Errorf("log = %s", log.String())
		}
	})
}

func TestHearsay_and_calls_may_come_together(t *testing.T) {
	all := newTestCircuits(Breaker{Consecutive: 3, Open: time.Millisecond})
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 2000 {
				c := all.of(fmt.Sprint(i % 5))
				switch done, _ := c.enter(); {
				case worker < 2:
					all.hear(fmt.Sprint(i%7), time.Duration(i%3)*time.Millisecond)
					if done != nil {
						c.head(done, countNothing, false)
					}
				case done != nil:
					c.head(done, breakerEffect(i%3), i%2 == 0)
					c.end(breakerEffect(i % 2))
				}
			}
		})
	}
	wait.Wait()
	for _, c := range *all.byModel.Load() { // nothing holds a probe's place for ever
		c.until.Store(0)
		done, _ := c.enter()
		if done == nil {
			t.Fatal("no call is admitted any more")
		}
		c.head(done, countSuccess, false)
		if !c.closed() {
			t.Error("a good probe did not close the breaker")
		}
	}
}
