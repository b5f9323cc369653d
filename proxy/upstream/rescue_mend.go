package upstream

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

const streamEnd = "data: [DONE]\n\n"

// Private

// A failure is an event that tells of an error.
type failure struct {
	raw   []byte
	fault fault
}

func (f *failure) Error() string { return "the stream failed with an error event" }

// pass takes an event and reports whether more may follow.
func (r *rescue) pass(raw []byte) bool {
	e := readEvent(raw)
	if r.seam != nil {
		return r.splice(&e)
	}
	switch kind, fault := r.told.note(&e); kind {
	case failing:
		r.cause = &failure{slices.Clone(raw), fault}
		return false
	case strange:
		r.loose = true
		return false
	}
	return true
}

// splice passes on what is new in an event of a further part.
func (r *rescue) splice(e *event) bool {
	s := r.seam
	switch {
	case e.data == "":
		r.made = append(r.made, e.raw...)
		return true
	case e.done() && !s.joined:
		r.cause = errShort
		return false
	case e.done() || !gjson.Valid(e.data):
		if s.joined {
			r.tell(e)
		}
		return true
	}
	if fault, failed := e.failure(); failed {
		if s.joined && fault.final() {
			r.made, r.loose = append(r.made, e.raw...), true
			return true
		}
		r.cause = &failure{slices.Clone(e.raw), fault}
		return false
	}
	apart := !s.joined
	data, err := s.chunk(strings.ReplaceAll(e.data, "\n", " "))
	if err != nil {
		r.cause = err
		return false
	}
	if apart && s.joined {
		r.joined()
	}
	if data == "" {
		return true
	}
	raw := e.with(nil, data)
	if !s.joined {
		r.ahead = append(r.ahead, event{raw: raw, data: data})
		if r.early += len(raw); r.early > maxEvent {
			r.cause = errLong
		}
		return r.early <= maxEvent
	}
	r.tell(&event{raw: raw, data: data})
	return true
}

// tell passes an event on as it is.
func (r *rescue) tell(e *event) {
	r.made = append(r.made, e.raw...)
	if kind, _ := r.told.note(e); kind == strange {
		r.loose = true
	}
}

// joined is called when a part has told all that was told before.
func (r *rescue) joined() {
	for i := range r.ahead {
		r.tell(&r.ahead[i])
	}
	r.ahead = nil
	r.bill()
}

// mend has another candidate go on, if the part's end is not the answer's.
func (r *rescue) mend() {
	r.mending.Lock()
	defer r.mending.Unlock()
	cause, c := r.cause, &r.call
	joined := r.seam == nil || r.seam.joined
	if joined {
		if r.ends(cause) || len(r.out) > 0 {
			return
		}
		cause = r.cause
	}
	r.cause = nil
	switch {
	case c.ctx.Err() != nil:
		r.end = c.ctx.Err()
		return
	case joined && errors.Is(cause, ErrTotal):
		r.end = cause
		return
	case joined:
		if cause == io.EOF { //nolint:errorlint // a reader's own end
			cause = io.ErrUnexpectedEOF
		}
		r.reason, c.resumed = cause, time.Now()
		r.part()
	}
	r.leave(cause, joined)
	if !r.next() {
		r.fail()
	}
}

// ends reports whether the answer ends with its part. If there is something to be
// read before, that is said later.
func (r *rescue) ends(cause error) bool {
	var failed *failure
	clean := cause == io.EOF //nolint:errorlint // a reader's own end
	if errors.As(cause, &failed) {
		return false
	}
	if !r.loose && r.lastEvent(clean) {
		return false
	}
	switch t := &r.told; {
	case r.loose:
		r.end = cause
	case clean && r.seam == nil && (t.finished || t.done || !t.begun):
		r.out, r.end = r.buf[r.start:], cause
	case t.finished || t.done:
		if !clean {
			r.flight.finish(Cut)
		}
		if !t.done {
			r.out = []byte(streamEnd)
		}
		r.end = io.EOF
	default:
		return false
	}
	return true
}

// lastEvent takes an event whose data are whole, although its empty line is
// missing, and reports whether there was one.
func (r *rescue) lastEvent(clean bool) bool {
	rest := r.buf[r.start:]
	e := readEvent(rest)
	if !e.done() && (!strings.HasPrefix(e.data, "{") || !gjson.Valid(e.data)) {
		return false
	}
	line := append(slices.Clone(rest), "\n\n"...)
	if strings.HasSuffix(string(rest), "\n") {
		line = line[:len(line)-1]
	}
	r.made = r.made[:0]
	r.buf, r.start, r.frame = r.buf[:0], 0, framer{}
	if !r.pass(line) {
		return true
	}
	switch {
	case r.seam != nil:
		r.out = r.made
	case clean && (r.told.finished || r.told.done):
		r.out = line[:len(rest)]
	default:
		r.out = line
	}
	return true
}

// leave ends a part that others must go on with, and judges it.
func (r *rescue) leave(cause error, joined bool) {
	f, c, outcome := r.flight, &r.call, Cut
	if c.trials == nil {
		c.trials = make([]trial, len(c.candidates))
	}
	t := &c.trials[c.at]
	t.silent = true
	var failed *failure
	switch {
	case errors.Is(cause, errDiffers), errors.Is(cause, errShort):
		outcome = ClientGone
	case !errors.As(cause, &failed):
	case failed.fault.final():
		if outcome = Completed; f.prefilled {
			t.silent, t.afresh = false, true
			r.refused++
		}
	default:
		v := classify(result{status: http.StatusOK, pooled: f.key != nil, early: true, fault: failed.fault})
		c.applyToKey(&choice{candidate: &c.candidates[c.at], key: f.key, model: f.answer.Model}, v, f.answer.Response)
		if v.breaker != countFailure {
			outcome = ClientGone
		}
	}
	if !joined {
		a := f.record()
		a.Billed, a.Output = true, r.seam.heard()
	}
	f.finish(outcome)
}

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

// head is what can be put before a continuation, and what it counts for.
func (r *rescue) head() (inside string, tokens int) {
	t := &r.told
	if len(t.refusal) > 0 || len(t.calls) > 0 {
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

// fail ends the stream as it would have ended without a rescue.
func (r *rescue) fail() {
	var failed *failure
	switch ended := r.call.ctx.Err(); {
	case ended != nil:
		r.end = ended
	case errors.As(r.reason, &failed):
		r.out, r.end = failed.raw, io.EOF
	default:
		r.end = r.reason
	}
}
