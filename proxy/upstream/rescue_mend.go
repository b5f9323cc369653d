package upstream

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
)

const streamEnd = "data: [DONE]\n\n" // what is missing of a finished answer

// Private

// mend has another candidate go on, if the part's end is not the answer's.
func (r *rescue) mend() {
	r.mending.Lock()
	defer r.mending.Unlock()
	cause, c := r.cause, &r.call
	clean := cause == io.EOF //nolint:errorlint // a reader's own end
	joined := r.seam == nil || r.seam.joined
	switch {
	case !clean && c.ctx.Err() != nil:
		r.end = c.ctx.Err()
		return
	case r.lastEvent(clean), !r.loose && joined && r.ends(clean):
		return
	case r.loose, joined && errors.Is(cause, ErrTotal):
		r.end = cause
		return
	}
	r.cause = nil
	if joined {
		r.broken(cause)
	}
	r.leave(cause, joined)
	if !r.next() {
		r.fail()
	}
}

// lastEvent takes an event whose data are whole, although its empty line is
// missing, and reports whether there was one.
func (r *rescue) lastEvent(clean bool) bool {
	rest := r.buf[r.start:]
	e := readEvent(rest)
	if !e.done() && (!strings.HasPrefix(e.data, "{") || !validJSON(e.data)) {
		return false
	}
	line := append(slices.Clone(rest), "\n\n"...)
	if strings.HasSuffix(string(rest), "\n") {
		line = line[:len(line)-1]
	}
	r.buf, r.start, r.made = r.buf[:0], 0, r.made[:0]
	passed := r.pass(line)
	switch {
	case r.seam != nil:
		r.out = r.made
	case r.loose, clean && (r.told.finished || r.told.done):
		r.out = line[:len(rest)]
	case passed:
		r.out = line
	}
	return true
}

// ends reports whether the answer ends with its part.
func (r *rescue) ends(clean bool) bool {
	switch t := &r.told; {
	case clean && r.seam == nil && (t.finished || t.done || !t.begun):
		r.out = r.buf[r.start:]
	case t.finished || t.done:
		if !clean {
			r.flight.finish(Cut)
		}
		if !t.done {
			r.out = []byte(streamEnd)
		}
	default:
		return false
	}
	r.end = io.EOF
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

// fail ends the stream as it would have ended without a rescue.
func (r *rescue) fail() {
	r.unbill()
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
