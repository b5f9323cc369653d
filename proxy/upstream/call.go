package upstream

import (
	"context"
	"math/rand/v2"
	"time"
)

// Private

// A call is the pipeline's state between the attempts of one Do.
type call struct {
	pool       *Pool
	ctx        context.Context
	request    *Request
	candidates []candidate
	began      time.Time
	credential credential

	at       int     // the candidate that is next
	trials   []trial // of the candidates; nil before the first failure
	attempts int
	waits    int           // for a key to cool
	held     *flight       // the last failing answer, passed on if nothing better comes
	failure  *Error        // of the last attempt, if it had no answer
	refusal  *Error        // why the first candidate could not be tried
	soonest  time.Duration // until a cooling candidate can be tried; 0: never
}

// A trial is what a call has learned of a candidate.
type trial struct {
	tries  int
	silent bool      // it does not answer; not tried again
	until  time.Time // not tried before
}

// A choice is a candidate with what an attempt needs.
type choice struct {
	candidate *candidate
	model     string
	key       *key // nil: the client's own
	circuit   *circuit
	done      func(error)
}

func (c *call) run() (*Answer, error) {
	for {
		if err := c.ctx.Err(); err != nil {
			return nil, c.fail(clientGone(err))
		}
		choice, ok := c.choose()
		if !ok {
			if c.awaitCooldown() {
				continue
			}
			return c.end()
		}
		f, v, failure := c.attempt(&choice)
		switch {
		case v.retry == retryNever && failure == nil:
			c.release()
			f.answer.Attempts = c.attempts
			return &f.answer, nil
		case v.retry == retryNever && v.breaker == countNothing:
			return nil, c.fail(failure)
		}
		asked := c.keep(f, v, failure)
		if !c.mayRepeat(f, v) {
			return c.end()
		}
		if c.held != nil && c.held == f && !f.shelve() {
			c.release()
			c.failure = unreachable(choice.candidate.upstream.name, errBroken)
		}
		if f.shelved && c.held == f && faultOf(f.shelf).final() {
			return c.end()
		}
		if !c.advance(&choice, v, asked) {
			return c.end()
		}
	}
}

// choose takes the first candidate, from the one that is next, that has a key
// and whose breaker admits a call.
func (c *call) choose() (choice, bool) {
	now := c.pool.now()
	c.refusal, c.soonest = nil, 0
	for i := range c.candidates {
		at := (c.at + i) % len(c.candidates)
		if c.trials != nil && c.resting(&c.trials[at]) {
			continue
		}
		chosen := choice{candidate: &c.candidates[at], model: c.candidates[at].model}
		if chosen.model == "" {
			chosen.model = c.request.Model
		}
		u := chosen.candidate.upstream
		var wait time.Duration
		if u.pooled() {
			if chosen.key, wait = u.keys.pick(chosen.model, c.request.Sticky, now); chosen.key == nil {
				c.refuse(exhausted(u.name, wait))
				c.soonest = shortest(c.soonest, wait)
				continue
			}
		}
		chosen.circuit = u.circuits.of(chosen.model)
		if chosen.done, wait = chosen.circuit.enter(); chosen.done == nil {
			chosen.key.leave()
			c.refuse(unavailable(u.name, wait))
			continue
		}
		c.at = at
		return chosen, true
	}
	return choice{}, false
}

func (c *call) resting(t *trial) bool {
	if t.silent {
		return true
	}
	rest := time.Until(t.until)
	if t.until.IsZero() || rest <= 0 {
		return false
	}
	c.soonest = shortest(c.soonest, rest)
	return true
}

func (c *call) refuse(e *Error) {
	if c.refusal == nil {
		c.refusal = e
	}
}

// awaitCooldown waits until a candidate can be tried again, if that is soon. A
// call that was not limited itself does not wait: there would be a herd.
func (c *call) awaitCooldown() bool {
	if c.soonest == 0 || c.soonest > c.pool.retry.Max || c.attempts == 0 || c.waits >= c.pool.retry.Attempts {
		return false
	}
	c.waits++
	return c.pause(c.soonest + rand.N(c.pool.retry.Base))
}

// keep remembers a failed attempt and returns how long its answer asks to wait.
func (c *call) keep(f *flight, v verdict, failure *Error) (asked time.Duration) {
	c.failure = failure
	if failure != nil {
		return 0
	}
	now := c.pool.now()
	if v.key == keyCools {
		asked = cooldown(f.answer.Header, now)
	} else {
		asked = retryAfter(f.answer.Header, now)
	}
	if v.key == keyOut {
		f.finish(ClientGone) // it speaks of a key that is not the client's
		return 0
	}
	c.release()
	c.held = f
	return asked
}

// mayRepeat reports whether another attempt is allowed.
func (c *call) mayRepeat(f *flight, v verdict) bool {
	if v.retry == retryNever || c.attempts > c.pool.retry.Attempts {
		return false
	}
	if f.upload != nil {
		if begun, _ := f.upload.takeBack(); begun {
			return false
		}
	}
	return v.idle || c.credential.repeatable
}

// advance chooses where the next attempt begins, and pauses if that was tried
// before. A candidate is tried twice before the next one, but every candidate
// gets its turn.
func (c *call) advance(failed *choice, v verdict, asked time.Duration) bool {
	if c.trials == nil {
		c.trials = make([]trial, len(c.candidates))
	}
	t := &c.trials[c.at]
	t.tries++
	switch v.retry {
	case retryNextKey:
		if failed.key == nil { // nobody else knows that the client's own key is limited
			if asked <= 0 {
				asked = min(firstCooldown<<min(t.tries-1, 10), lastCooldown)
			}
			t.until = time.Now().Add(asked)
		}
		return true
	case retryElsewhere:
		t.silent = true
		return true
	}
	left := c.pool.retry.Attempts + 1 - c.attempts
	switch {
	case asked > c.pool.retry.Max:
		t.until = time.Now().Add(asked)
		c.at, asked = c.next(), 0
	case t.tries >= 2 || left <= c.untried():
		c.at, asked = c.next(), 0
	}
	if next := &c.trials[c.at]; next.tries == 0 || c.resting(next) {
		return true
	}
	bound := min(c.pool.retry.Base<<min(c.attempts-1, 20), c.pool.retry.Max)
	return c.pause(max(rand.N(bound), asked))
}

func (c *call) next() int { return (c.at + 1) % len(c.candidates) }

func (c *call) untried() int {
	n := 0
	for _, t := range c.trials {
		if t.tries == 0 {
			n++
		}
	}
	return n
}

// pause reports whether the call has the time for it. The caller looks for the
// context's end.
func (c *call) pause(d time.Duration) bool {
	if total := c.candidates[c.at].upstream.timeouts.Total; total > 0 && time.Since(c.began)+d >= total {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
	return true
}

// end is the call's result when nothing is left to try: the last failing answer,
// else the last failure, else the reason why nothing could be tried.
func (c *call) end() (*Answer, error) {
	if c.held != nil {
		c.held.answer.Attempts = c.attempts
		return &c.held.answer, nil
	}
	switch {
	case c.failure != nil:
		return nil, c.fail(c.failure)
	case c.refusal != nil:
		return nil, c.fail(c.refusal)
	}
	return nil, c.fail(exhausted(c.candidates[c.at].upstream.name, c.soonest))
}

func (c *call) fail(e *Error) *Error {
	c.release()
	e.Attempts = c.attempts
	return e
}

func (c *call) release() {
	if c.held != nil {
		c.held.finish(ClientGone)
		c.held = nil
	}
}
