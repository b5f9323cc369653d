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

// broken remembers that a part broke. What it wrote is in the usage that the
// client gets as long as others only continue it.
func (r *rescue) broken(cause error) {
	if cause == io.EOF { //nolint:errorlint // a reader's own end
		cause = io.ErrUnexpectedEOF
	}
	r.reason, r.call.resumed = cause, time.Now()
	r.flight.record().Billed = true
	output := r.told.output()
	r.parts = append(r.parts, part{r.flight, output[min(r.before, len(output)):]})
}

// bill is called when a part has joined. One that wrote all of it anew counts it
// all, so that what the others wrote comes on top.
func (r *rescue) bill() {
	if r.flight.prefilled {
		return
	}
	for _, p := range r.parts {
		p.flight.record().Output = p.output
	}
	r.parts = nil
}
