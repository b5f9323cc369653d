package upstream

import (
	"io"
	"time"
)

// Private

// A part is an attempt whose stream broke after it had joined, and the text that
// it alone wrote.
type part struct {
	flight *flight
	output string
}

// broken remembers that a part broke. Others may go on with what it wrote.
func (r *rescue) broken(cause error) {
	if cause == io.EOF { //nolint:errorlint // a reader's own end
		cause = io.ErrUnexpectedEOF
	}
	r.reason, r.call.resumed = cause, time.Now()
	r.flight.record().Billed = true
	output := r.told.output()
	r.parts = append(r.parts, part{r.flight, output[min(r.before, len(output)):]})
}

// bill is called when a part has joined: the answer is its own from now on. The usage
// that the client gets of it counts the text that it continues, too.
func (r *rescue) bill() {
	r.flight.answers()
	if r.flight.prefilled {
		r.flight.record().Added = r.seam.spent
	}
	for _, p := range r.parts {
		a := p.flight.record()
		a.Output, a.Added = p.output, 0
	}
	r.parts = nil
}

// unbill is called when nobody went on: then the last part that joined is the answer.
func (r *rescue) unbill() {
	for _, p := range r.parts {
		p.flight.record().Billed = false
	}
}
