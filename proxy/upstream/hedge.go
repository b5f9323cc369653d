package upstream

import (
	"time"

	"github.com/tidwall/gjson"
)

// Private

// errOutrun is the cause of an attempt that ended because another spoke first.
const errOutrun timeoutError = "another candidate spoke first"

// hedges reports whether a second candidate may start beside the next attempt.
func (c *call) hedges() bool {
	return c.pool.hedgeAfter > 0 && !c.hedged && c.further()
}

// further reports whether there is a candidate beyond the present one that this
// call did not try yet and could.
func (c *call) further() bool {
	if len(c.candidates) < 2 || c.request.Background || c.request.Stream != nil || !c.credential.repeatable {
		return false
	}
	for i := range c.candidates {
		if i != c.at && (c.trials == nil || c.trials[i].tries == 0 && !c.trials[i].silent) {
			return true
		}
	}
	return false
}

// race makes an attempt and, if a stream does not speak in time, another beside
// it. It returns the one that spoke first; if both failed, the later failure.
func (c *call) race(chosen *choice) (*flight, verdict, *Error) {
	arrived := make(chan *leg, 2)
	start := func(l *leg, hold time.Duration) {
		go func() {
			l.fly(hold)
			arrived <- l
		}()
	}
	first := c.launch(chosen, true)
	start(&first, c.pool.hedgeAfter+heldTime)
	timer := time.NewTimer(c.pool.hedgeAfter)
	defer timer.Stop()
	var second *leg
	for under := 1; ; {
		select {
		case <-timer.C:
			if second = c.second(&first); second != nil {
				under++
				start(second, heldTime)
			}
		case l := <-arrived:
			under--
			f, v, failure := c.land(l)
			spoke := failure == nil && v.retry == retryNever && (l == &first || f.answer.StatusCode < 400)
			if under > 0 && !spoke {
				c.stash(l, v, failure)
				continue
			}
			if under > 0 {
				other := second
				if l == second {
					other = &first
				}
				c.outrun(other, arrived)
			}
			*chosen, c.at = l.chosen, l.at
			return f, v, failure
		}
	}
}

// second launches the next candidate beside a first, if one can be had at once.
func (c *call) second(first *leg) *leg {
	if !gjson.Get(c.request.Body, "stream").Bool() {
		return nil
	}
	if c.trials == nil {
		c.trials = make([]trial, len(c.candidates))
	}
	c.hurried, c.trials[first.at].silent = true, true
	chosen, ok := c.choose()
	c.hurried, c.trials[first.at].silent = false, false
	if !ok {
		return nil
	}
	c.hedged = true
	l := c.launch(&chosen, true)
	l.f.record().Hedge = true
	return &l
}

// stash puts a failed attempt aside while the other goes on. Its candidate is not
// asked again.
func (c *call) stash(l *leg, v verdict, failure *Error) {
	c.trials[l.at].tries++
	c.trials[l.at].silent = true
	c.keep(l.f, v, failure)
	if c.held == l.f && !l.f.shelve() {
		c.release()
	}
	l.f.vacate()
}

// outrun ends an attempt that nobody waits for, to nobody's blame.
func (c *call) outrun(l *leg, arrived <-chan *leg) {
	l.f.cancel(errOutrun)
	<-arrived
	l.err = errOutrun
	_, _, _ = c.land(l)
}
