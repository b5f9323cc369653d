package upstream

import (
	"context"
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
	retries  int           // that may follow the first
	trail    *trail        // of the attempts; nil before the first
	waits    int           // for a key to cool
	hedged   bool          // a second candidate was started beside another
	hurried  bool          // nothing is waited for
	full     int           // candidates that had no place
	degraded bool          // the candidates are the cheaper ones
	held     *flight       // the last failing answer, passed on if nothing better comes
	failure  *Error        // of the last attempt, if it had no answer
	refusal  *Error        // why the first candidate could not be tried
	soonest  time.Duration // until a cooling candidate can be tried; 0: never

	resumed time.Time // when the stream broke that the attempts go on with; zero: none did
	prefill string    // the body for upstreams that continue it; "": there is none
}

// A trial is what a call has learned of a candidate.
type trial struct {
	tries  int
	silent bool      // it does not answer; not tried again
	afresh bool      // it refuses to continue a stream
	flying bool      // it is being tried
	until  time.Time // not tried before
}

// A choice is a candidate with what an attempt needs.
type choice struct {
	candidate *candidate
	model     string
	key       *key // nil: the client's own
	circuit   *circuit
	breaker   string // its state
	done      func(error)
}

func (c *call) run() (*Answer, error) {
	c.retries = c.mostRetries()
	if c.request.Degrade && !c.degraded && !c.degrade() {
		return nil, c.fail(noCheaper(c.request.Model))
	}
	for {
		if err := c.ctx.Err(); err != nil {
			return nil, c.fail(clientGone(err))
		}
		choice, ok := c.choose()
		if !ok {
			if c.ctx.Err() != nil || c.awaitCooldown() || c.crowded() && c.degrade() {
				continue
			}
			return c.end()
		}
		f, v, failure := c.attempt(&choice)
		switch {
		case v.retry == retryNever && failure == nil:
			c.release()
			return c.pass(f), nil
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
		f.vacate() // the next attempt must not wait for this one
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
	c.refusal, c.soonest, c.full = nil, 0, 0
	for i := range c.candidates {
		at := (c.at + i) % len(c.candidates)
		if c.trials != nil && c.resting(at) {
			continue
		}
		chosen := choice{candidate: &c.candidates[at], model: c.candidates[at].model}
		if chosen.model == "" {
			chosen.model = c.request.Model
		}
		if refusal := c.enter(&chosen); refusal != nil {
			c.refuse(refusal)
			if c.ctx.Err() != nil {
				break
			}
			continue
		}
		if !c.affords(at) {
			chosen.done(errNotCounted)
			chosen.candidate.upstream.leave(chosen.key)
			continue
		}
		c.at = at
		return chosen, true
	}
	return choice{}, false
}

// enter takes a place at the candidate's upstream, one of its keys, and its
// breaker's leave; or none of them, and returns why.
func (c *call) enter(chosen *choice) *Error {
	u := chosen.candidate.upstream
	chosen.circuit = u.circuits.of(chosen.model)
	if wait := chosen.circuit.left(); wait > 0 { // nobody queues for it
		return unavailable(u.name, wait)
	}
	p := c.admit(u, chosen.model)
	switch {
	case p.failure != nil:
		c.full++
		return p.failure
	case p.refused:
		c.soonest = shortest(c.soonest, p.after)
		return exhausted(u.name, p.after)
	}
	var wait time.Duration
	if chosen.done, wait = chosen.circuit.enter(); chosen.done == nil {
		u.leave(p.key)
		return unavailable(u.name, wait)
	}
	chosen.key, chosen.breaker = p.key, admittedBy(chosen.circuit)
	return nil
}

func (t *trial) untried() bool { return t.tries == 0 && !t.silent && !t.flying }

func (c *call) resting(at int) bool {
	t := &c.trials[at]
	if t.flying || c.spent(at) {
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

// crowded reports whether nothing but places was missing so far.
func (c *call) crowded() bool { return c.attempts == 0 && c.full == len(c.candidates) }

// degrade goes over to the cheaper candidates, if there are any.
func (c *call) degrade() bool {
	cheaper := c.pool.router.rule(c.request.Model).degrade
	if c.degraded || len(cheaper) == 0 {
		return false
	}
	c.candidates, c.at, c.trials, c.degraded = cheaper, 0, nil, true
	c.retries = c.mostRetries()
	return true
}

// end is the call's result when nothing is left to try: the last failing answer,
// else the last failure, else the reason why nothing could be tried.
func (c *call) end() (*Answer, error) {
	if c.held != nil {
		return c.pass(c.held), nil
	}
	switch {
	case c.failure != nil:
		return nil, c.fail(c.failure)
	case c.refusal != nil:
		return nil, c.fail(c.refusal)
	}
	return nil, c.fail(exhausted(c.candidates[c.at].upstream.name, c.soonest))
}

func (c *call) pass(f *flight) *Answer {
	f.answer.Attempts, f.answer.Hedged, f.answer.Degraded = c.attempts, c.hedged, c.degraded
	a := f.record()
	a.Billed, a.Spoilt = false, ""
	f.answers()
	return &f.answer
}

func (c *call) fail(e *Error) *Error {
	c.release()
	e.Attempts, e.Trail = c.attempts, c.trail.list()
	return e
}

func (c *call) release() {
	if c.held != nil {
		c.held.finish(ClientGone)
		c.held = nil
	}
}
