package upstream

import (
	"context"
	"math"
	"slices"
	"time"
)

// Private

// Causes of an attempt that ended while its upstream may have been at work.
const (
	errOutrun     timeoutError = "another candidate spoke first"
	errFirstToken timeoutError = "the upstream's answer did not begin in time"
)

// A race is an attempt at a stream and what is started because it does not speak:
// an attempt beside it, a hedge, or one in its place.
type race struct {
	*call
	legs    []*leg    // that can win, in the order of their starts
	flying  int       // these, and others that ran out of time
	arrived chan *leg // has room for all
}

// races reports whether another candidate may be started before the next attempt
// has ended.
func (c *call) races(chosen *choice) bool {
	hedge := c.pool.hedgeAfter > 0 && !c.hedged
	limit := chosen.candidate.upstream.timeouts.FirstToken > 0 && c.attempts < c.retries
	return (hedge || limit) && c.further() && asksStream(c.request.Body)
}

// further reports whether there is a candidate beyond the present one that this
// call did not try yet and could.
func (c *call) further() bool {
	if len(c.candidates) < 2 || c.request.Background || c.request.Stream != nil || !c.credential.repeatable {
		return false
	}
	for i := range c.candidates {
		if i != c.at && (c.trials == nil || c.trials[i].untried()) {
			return true
		}
	}
	return false
}

// race returns the attempt that spoke first; if all failed, the last failure.
func (c *call) race(chosen *choice) (*flight, verdict, *Error) {
	r := race{call: c, arrived: make(chan *leg, len(c.candidates))}
	r.start(chosen, false)
	timer := time.NewTimer(r.patience())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			r.hurry()
		case l := <-r.arrived:
			first := l == r.legs[0]
			f, v, failure := r.land(l)
			spoke := failure == nil && v.retry == retryNever && (first || f.answer.StatusCode < 400)
			if len(r.legs) == 0 || spoke {
				r.end()
				*chosen, c.at = l.chosen, l.at
				return f, v, failure
			}
			c.stash(l, v, failure)
		}
		timer.Reset(r.patience())
	}
}

// start begins an attempt, perhaps beside another. Its stream is held for longer
// than anything that may be started because of it.
func (r *race) start(chosen *choice, beside bool) *leg {
	l := r.launch(chosen)
	hold := time.Duration(0)
	if r.further() {
		if r.pool.hedgeAfter > 0 && !r.hedged {
			hold = r.pool.hedgeAfter
			l.hedge = l.f.began.Add(hold)
		}
		if limit := l.f.upstream.timeouts.FirstToken; limit > 0 {
			hold = max(hold, limit)
			l.limit = l.f.began.Add(limit)
		}
		hold += heldTime
	} else if beside {
		hold = heldTime
	}
	r.legs = append(r.legs, &l)
	r.flying++
	go l.flyAhead(hold, r.arrived)
	return &l
}

// patience is the time until something is to be started.
func (r *race) patience() time.Duration {
	next := time.Duration(math.MaxInt64)
	for _, l := range r.legs {
		for _, at := range []time.Time{l.hedge, l.limit} {
			if !at.IsZero() {
				next = min(next, time.Until(at))
			}
		}
	}
	return next
}

// hurry starts what is due. A leg that passed its limit goes on if no other can
// be had.
func (r *race) hurry() {
	now := time.Now()
	due := func(at *time.Time) bool {
		if at.IsZero() || at.After(now) {
			return false
		}
		*at = time.Time{}
		return true
	}
	for _, l := range slices.Clone(r.legs) {
		switch last := l == r.legs[len(r.legs)-1]; {
		case due(&l.limit):
			if !last || r.replace() {
				r.drop(l)
			}
		case due(&l.hedge):
			r.startBeside()
		}
	}
}

func (r *race) startBeside() {
	if r.hedged {
		return
	}
	if chosen, ok := r.other(); ok {
		r.hedged = true
		r.start(&chosen, true).f.record().Hedge = true
	}
}

func (r *race) replace() bool {
	if r.attempts > r.retries || r.late(0) {
		return false
	}
	chosen, ok := r.other()
	if ok {
		r.start(&chosen, len(r.legs) > 1)
	}
	return ok
}

// other chooses a candidate that is not under way, if one can be had at once.
func (r *race) other() (choice, bool) {
	if r.trials == nil {
		r.trials = make([]trial, len(r.candidates))
	}
	for _, l := range r.legs {
		r.trials[l.at].flying = true
	}
	r.hurried = true
	defer func() { r.hurried = false }()
	return r.choose()
}

// drop ends an attempt that had its time. Its candidate is not asked again.
func (r *race) drop(l *leg) {
	r.trials[l.at].silent = true
	l.f.cancel(errFirstToken)
	r.legs = slices.DeleteFunc(r.legs, func(other *leg) bool { return other == l })
}

// land takes what arrived, which may be too late.
func (r *race) land(l *leg) (*flight, verdict, *Error) {
	r.flying--
	r.legs = slices.DeleteFunc(r.legs, func(other *leg) bool { return other == l })
	if r.trials != nil {
		r.trials[l.at].flying = false
	}
	if cause := context.Cause(l.f.ctx); cause != nil && l.err == nil {
		l.err = cause
	}
	return r.call.land(l)
}

// stash puts a failed attempt aside while another goes on. Its candidate is not
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

// end ends the attempts that nobody waits for any more, to nobody's blame unless
// they had run out of time.
func (r *race) end() {
	for _, l := range r.legs {
		l.f.cancel(errOutrun)
	}
	for r.flying > 0 {
		_, _, _ = r.land(<-r.arrived)
	}
}
