package upstream

import (
	"io"
	"time"
)

// Private

// broken remembers that a part broke that had joined. Others may go on with what it
// wrote.
func (r *rescue) broken(cause error) {
	if cause == io.EOF { //nolint:errorlint // a reader's own end
		cause = io.ErrUnexpectedEOF
	}
	r.reason, r.call.resumed = cause, time.Now()
	r.flight.record().Billed = true
	output := r.told.output()
	r.broke, r.wrote = r.flight, output[min(r.before, len(output)):]
}

// bill is called when a part has joined: the answer is its own from now on. The usage
// that the client gets of it counts the text that it continues, too.
func (r *rescue) bill() {
	r.flight.answers()
	if r.flight.prefilled {
		r.flight.record().Added = r.seam.spent
	}
	a := r.broke.record()
	a.Output, a.Added = r.wrote, 0
}

// unbill is called when nobody went on: then the last part that joined is the answer.
func (r *rescue) unbill() { r.broke.record().Billed = false }
