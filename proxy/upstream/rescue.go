package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

const (
	maxEvent  = 4 << 20  // bytes of an event that is held until it is whole
	mostSpare = 64 << 10 // that a buffer keeps for long events to come
)

// Private

var errLong = errors.New("an event of the stream is too long")

// A rescue is the body of a stream that other candidates go on with when it
// breaks. Only whole events are read from it. While the first part lasts they are
// the upstream's bytes.
type rescue struct {
	call    call
	answer  *Answer
	cancel  context.CancelFunc
	mending sync.Mutex // held while another candidate is asked; guards flight against the others
	flight  *flight

	buf   []byte
	frame framer
	start int     // of the event under way in buf
	out   []byte  // to be read
	made  []byte  // what out of a further part is written to
	ahead []event // of a further part, until it has joined
	told  told
	seam  *seam // of a further part; nil: this is the first
	loose bool  // nobody else could go on: the bytes pass as they come

	cause   error   // why the part ended
	end     error   // why all of it did
	reason  error   // why the last part ended that had joined
	early   int     // bytes of what is ahead
	before  int     // bytes of the output before a part that continues it
	broke   *flight // the last part that had joined, when it broke
	wrote   string  // the text that it alone wrote
	refused int     // attempts that only found that a prefill is refused
}

// guard makes an answer's body one that can be rescued, if it is such a stream. A
// failing answer, after which nobody was left to ask, is passed on as it came, and so
// is one whose length the client was told.
func (c *call) guard(a *Answer) {
	if !c.pool.resume || c.held != nil || !c.renewable() || !streams(a.Response) || a.ContentLength >= 0 || !c.others() {
		return
	}
	r := &rescue{call: *c, answer: a, flight: a.flight, buf: make([]byte, 0, bufferSize)}
	r.call.ctx, r.cancel = context.WithCancel(c.ctx)
	a.rescue, a.Body = r, r
}

// streams reports whether an answer's events can be read.
func streams(a *http.Response) bool {
	return a.StatusCode == http.StatusOK && isStream(a.Header) && a.Header.Get("Content-Encoding") == ""
}

// others reports whether another candidate may be asked.
func (c *call) others() bool {
	for i := range c.candidates {
		if i != c.at && (c.trials == nil || !c.spent(i)) {
			return true
		}
	}
	return false
}

func (r *rescue) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		switch {
		case r.end != nil:
			return 0, r.end
		case r.cause != nil:
			r.mend()
		case r.loose && r.seam == nil:
			return r.flight.Read(p)
		default:
			r.more()
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// Close ends the stream without judging it.
func (r *rescue) Close() error {
	r.halt()
	defer r.mending.Unlock()
	return r.flight.Close()
}

func (r *rescue) finish(o Outcome) {
	r.halt()
	defer r.mending.Unlock()
	r.flight.finish(o)
}

// halt ends asking others and locks.
func (r *rescue) halt() {
	r.cancel()
	r.mending.Lock()
}

// more reads what has come.
func (r *rescue) more() {
	if r.start > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.start:])]
		r.frame.shift(r.start)
		r.start = 0
	}
	switch free := cap(r.buf) - len(r.buf); {
	case free < bufferSize/2:
		r.buf = append(make([]byte, 0, 2*cap(r.buf)), r.buf...)
	case cap(r.buf) > mostSpare && len(r.buf) == 0: // a long event is over
		r.buf = make([]byte, 0, bufferSize)
	}
	n, err := r.flight.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf, r.cause = r.buf[:len(r.buf)+n], err
	r.take()
	if len(r.buf)-r.start > maxEvent {
		r.outgrown()
	}
}

// take passes on the events that are whole.
func (r *rescue) take() {
	r.made = r.made[:0]
	for {
		end := r.frame.next(r.buf)
		if end < 0 {
			break
		}
		if !r.pass(r.buf[r.start:end]) {
			if !r.loose {
				r.buf = r.buf[:r.start]
			}
			break
		}
		r.start = end
	}
	r.show()
}

// show makes what passed readable.
func (r *rescue) show() {
	switch {
	case r.seam != nil:
		r.out = r.made
	case r.loose:
		r.out, r.buf, r.start = r.buf, nil, 0
	default:
		r.out = r.buf[:r.start]
	}
}

// outgrown gives up an event that is too long to be held.
func (r *rescue) outgrown() {
	if r.seam != nil {
		r.cause = errLong
		return
	}
	r.loose = true
	r.show()
}
