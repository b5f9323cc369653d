package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// An Answer is what an upstream answered, whatever its status. Its Body streams
// and fails with ErrStalled or ErrTotal when a limit passed. Finish must be
// called. If others went on with a stream, the labels are of the one that began it,
// and Attempts has grown when the body has been read.
type Answer struct {
	*http.Response
	Upstream, Key, Model string // labels; Key is "" if the client's own key went up
	Attempts             int    // how many were made for it
	Hedged               bool   // two candidates were asked at once; this one spoke first, or the other failed
	Degraded             bool   // it is of one of the route's cheaper candidates

	flight *flight
	rescue *rescue // nil: the stream ends where it breaks
}

// Finish records the body's fate, closes it and ends the call. Only the first
// call counts. Afterwards the request's Stream is not read any more; a Read of it
// that is under way is waited for.
func (a *Answer) Finish(o Outcome) {
	if a.flight == nil { // it came from elsewhere than an upstream
		return
	}
	if a.rescue != nil {
		a.rescue.finish(o)
		return
	}
	a.flight.finish(o)
}

// Private

// A flight is one attempt under way, and the body of its answer. One timer
// serves all its limits: it is not moved by reads, but looks when it fires how
// long the wait under way has lasted, and fires again when that could be over.
type flight struct {
	answer   Answer
	upstream *upstream
	circuit  *circuit
	key      *key // nil: the client's own
	trail    *trail
	place    int             // in the trail
	ctx      context.Context // of the attempt; its cause tells which limit passed
	cancel   context.CancelCauseFunc
	source   io.ReadCloser
	upload   *upload
	shelf    []byte // the beginning of a failing answer, once it was read ahead
	shelved  bool
	first    bool // the first byte was recorded
	counts   bool // the body's fate is the breaker's business

	prefilled bool // it was asked to continue a stream

	began  time.Time
	total  time.Duration // since began; 0: no limit
	period time.Duration // the shortest limit of a wait; 0: none
	timer  atomic.Pointer[time.Timer]
	limit  atomic.Int64 // of the wait under way; 0: none
	since  atomic.Int64 // when that wait began, in nanoseconds after began, plus 1; 0: nobody waits

	arrived  atomic.Bool // the head is there
	sent     atomic.Bool // the request went up; known of chat calls
	closed   atomic.Bool
	finished atomic.Bool
	vacated  atomic.Bool
}

// depart starts the clock of an attempt of a call that began earlier.
func (f *flight) depart(call time.Time) {
	limits := &f.upstream.timeouts
	f.began = time.Now()
	f.period = shortest(limits.Headers, limits.StreamIdle)
	if limits.Total > 0 {
		f.total = max(limits.Total-f.began.Sub(call), 1)
	}
	if f.upload == nil {
		f.limit.Store(int64(limits.Headers))
		f.since.Store(1)
	}
	if first := shortest(f.period, f.total); first > 0 {
		f.timer.Store(time.AfterFunc(first, f.check))
	}
}

func (f *flight) awaitHead() { f.wait(f.upstream.timeouts.Headers) }

// uploaded is called when the last byte of a streamed body was read.
func (f *flight) uploaded() {
	if !f.arrived.Load() {
		f.awaitHead()
	}
}

func (f *flight) wait(limit time.Duration) {
	f.limit.Store(int64(limit))
	f.since.Store(int64(time.Since(f.began)) + 1)
}

// arrive makes the flight the body of its answer.
func (f *flight) arrive(resp *http.Response) {
	f.arrived.Store(true)
	f.since.Store(0)
	f.source, resp.Body = resp.Body, f
	f.answer.Response, f.answer.flight = resp, f
}

// Read reads the answer's body.
func (f *flight) Read(p []byte) (int, error) {
	f.wait(f.upstream.timeouts.StreamIdle)
	n, err := f.source.Read(p)
	f.since.Store(0)
	if n > 0 && f.counts {
		f.spoke()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(f.ctx); errors.Is(cause, ErrStalled) || errors.Is(cause, ErrTotal) {
			err = cause
		}
	}
	return n, err
}

// spoke is called when there is something of a good answer.
func (f *flight) spoke() {
	if !f.first {
		f.first = true
		f.upstream.latencies.record(time.Since(f.began))
	}
}

// Close ends the flight without judging it.
func (f *flight) Close() error {
	if f.closed.Swap(true) {
		return nil
	}
	if timer := f.timer.Load(); timer != nil {
		timer.Stop()
	}
	var err error
	if f.source != nil {
		err = f.source.Close()
	}
	f.cancel(nil)
	f.vacate()
	if f.upload != nil {
		_, _ = f.upload.takeBack()
	}
	return err
}

// vacate gives the flight's place to the next call.
func (f *flight) vacate() {
	if !f.vacated.Swap(true) {
		f.upstream.inFlight.Add(-1)
		f.upstream.leave(f.key)
	}
}

func (f *flight) finish(o Outcome) {
	if f.finished.Swap(true) {
		return
	}
	_ = f.Close()
	if f.counts {
		f.circuit.end(classifyEnd(o))
	}
}

// shelve reads a failing answer ahead, so that its connection is free for another
// attempt and the answer can still be passed on. What is beyond shelfSize stays
// on the connection. It reports whether the answer is still whole.
func (f *flight) shelve() bool {
	if f.shelved {
		return true
	}
	watchdog := time.AfterFunc(shelfTime, func() { f.cancel(ErrStalled) })
	head, err := io.ReadAll(io.LimitReader(f.source, shelfSize))
	if !watchdog.Stop() || err != nil {
		return false
	}
	f.shelf, f.shelved = head, true
	rest := f.source
	f.source = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), rest}
	return true
}

func (f *flight) check() {
	if f.closed.Load() {
		return
	}
	now := time.Since(f.began)
	if f.total > 0 && now >= f.total {
		f.cancel(ErrTotal)
		return
	}
	next := f.period
	if since, limit := f.since.Load(), f.limit.Load(); since > 0 && limit > 0 {
		if next = time.Duration(since-1+limit) - now; next <= 0 {
			f.cancel(f.overdue())
			return
		}
		next = shortest(next, f.period)
	}
	if f.total > 0 {
		next = shortest(next, f.total-now)
	}
	f.timer.Store(time.AfterFunc(next, f.check)) // one that Close misses finds the flight closed
}

func (f *flight) overdue() error {
	if f.arrived.Load() {
		return ErrStalled
	}
	return errHeaders
}

// shortest returns the smaller of two limits, of which 0 is none.
func shortest(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
