package upstream

import (
	"math/rand/v2"
	"time"
)

// Private

// awaitCooldown waits until a candidate can be tried again, if that is soon. A
// call that was not limited itself does not wait: there would be a herd.
func (c *call) awaitCooldown() bool {
	retry := c.retryAt(c.at)
	if c.soonest == 0 || c.soonest > retry.Max || c.attempts == 0 || c.waits >= c.retries {
		return false
	}
	c.waits++
	return c.pause(c.soonest + rand.N(retry.Base))
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
	if v.retry == retryNever || c.attempts > c.retries || c.late(0) {
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
	left := c.retries + 1 - c.attempts
	switch {
	case asked > c.retryAt(c.at).Max:
		t.until = time.Now().Add(asked)
		c.at, asked = c.next(), 0
	case t.tries >= 2 || c.spent(c.at) || left <= c.untried() || !failed.candidate.upstream.budget.affords():
		c.at, asked = c.next(), 0
	}
	if c.trials[c.at].tries == 0 || c.resting(c.at) {
		return true
	}
	if !c.candidates[c.at].upstream.budget.affords() {
		return false
	}
	// Full jitter, as Brooker describes it (Exponential Backoff and Jitter, 2015).
	retry := c.retryAt(c.at)
	if asked > 0 {
		return c.pause(asked + rand.N(retry.Base))
	}
	return c.pause(rand.N(min(retry.Base<<min(c.attempts-1, 20), retry.Max)))
}

// retryAt is what holds for a candidate: its upstream's own, else the pool's.
func (c *call) retryAt(at int) *Retry {
	if own := c.candidates[at].upstream.retry; own != nil {
		return own
	}
	return &c.pool.retry
}

// mostRetries is that of the most patient candidate.
func (c *call) mostRetries() int {
	most := 0
	for at := range c.candidates {
		most = max(most, c.retryAt(at).Attempts)
	}
	return most
}

// spent reports whether a candidate must not be tried again.
func (c *call) spent(at int) bool {
	t := &c.trials[at]
	return t.silent || t.tries > c.retryAt(at).Attempts
}

// next is the candidate after the present one; that one itself if no other is
// left.
func (c *call) next() int {
	for i := range c.candidates {
		if at := (c.at + 1 + i) % len(c.candidates); !c.spent(at) {
			return at
		}
	}
	return c.at
}

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
	if total := c.candidates[c.at].upstream.timeouts.Total; c.late(d) || total > 0 && time.Since(c.began)+d >= total {
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

// late reports whether no attempt may begin after a further d.
func (c *call) late(d time.Duration) bool {
	within, began := c.retryAt(c.at).Within, c.began
	if !c.resumed.IsZero() {
		began = c.resumed
	}
	return within > 0 && time.Since(began)+d >= within
}

// affords pays for an attempt of a candidate: the first of a call brings the
// upstream's retry budget something, a further one must be covered by it.
func (c *call) affords(at int) bool {
	budget := c.candidates[at].upstream.budget
	if c.trials == nil || c.trials[at].tries == 0 {
		budget.deposit()
		return true
	}
	return budget.withdraw()
}
