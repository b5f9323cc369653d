package upstream

import "net/http"

// Private

// next asks until somebody streams.
func (r *rescue) next() bool {
	c := &r.call
	head, spent := r.head()
	if !rescues(c.request.Body) {
		return false
	}
	c.prefill = prefilled(c.request.Body, head, spent)
	for c.attempts-r.refused <= c.retries && !c.late(0) {
		a, err := c.run()
		r.answer.Attempts, r.answer.Hedged = c.attempts, c.hedged
		if err != nil {
			return false
		}
		r.flight = a.flight
		r.broke.answers()  // until this one has joined
		if c.held != nil { // the last failing answer: nothing is left
			c.held = nil
			a.flight.finish(ClientGone)
			return false
		}
		if streams(a.Response) {
			r.begin(head, spent)
			return true
		}
		r.reject(a)
	}
	return false
}

// head is what can be put before a continuation, and what it counts for; "" if it
// cannot, or nobody is left who would continue it.
func (r *rescue) head() (inside string, tokens int) {
	t := &r.told
	if len(t.refusal) > 0 || len(t.calls) > 0 || !r.call.continues() {
		return "", 0
	}
	inside, whole := trimmed(string(t.text))
	if inside == "" || !whole {
		return "", 0
	}
	text := textOf([]byte(inside))
	if count := r.call.pool.tokens; count != nil {
		return inside, count(r.answer.Model, text)
	}
	return inside, (len(text) + 3) / 4
}

// begin reads from the flight from now on.
func (r *rescue) begin(head string, spent int) {
	r.buf, r.start, r.frame = r.buf[:0], 0, framer{}
	r.ahead, r.early = nil, 0
	r.before = 0
	if r.flight.prefilled {
		r.before = len(r.told.output())
		r.seam = newContinuation(&r.told, head, spent)
		return
	}
	if r.seam = newSeam(&r.told); r.seam.joined {
		r.joined()
	}
}

// reject leaves an answer that is no stream. One that refused a prefill is asked
// for again without.
func (r *rescue) reject(a *Answer) {
	f, c := a.flight, &r.call
	f.record().Billed = a.StatusCode < http.StatusMultipleChoices
	f.finish(ClientGone)
	if c.trials == nil {
		c.trials = make([]trial, len(c.candidates))
	}
	switch t := &c.trials[c.at]; {
	case f.prefilled && refusesPrefill(a.StatusCode):
		t.afresh = true
		r.refused++
	default:
		t.silent = true
	}
}

func refusesPrefill(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}
