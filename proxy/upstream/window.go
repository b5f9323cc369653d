package upstream

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	heldTime   = 15 * time.Second // the longest that a stream is held for its first content
	heldBytes  = 64 << 10
	heldEvents = 64
	heldBuffer = 1 << 10 // is read at once
)

// Private

var errEmpty = errors.New("the stream ended without content")

// A window holds the beginning of an event stream until its first content: until
// then another candidate can take the call over. What was held is then read
// first, byte for byte.
type window struct {
	flight *flight
	source io.ReadCloser
	done   chan struct{} // closed when nobody reads ahead any more

	mu      sync.Mutex
	scanner eventScanner
	held    []byte
	err     error                // that reading ended with
	release func(finding, error) // nil: it was called
}

func isStream(h http.Header) bool { return isKind(h, "text/event-stream") }

func isKind(h http.Header, kind string) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), kind)
}

// hold reads ahead until the stream speaks, fails, or was held long enough: then it
// calls release. An error means that the stream broke before it spoke. hold itself
// returns when it reads ahead no more, which may be later.
func (f *flight) hold(most time.Duration, release func(finding, error)) {
	w := &window{flight: f, source: f.source, done: make(chan struct{}), release: release}
	f.source = w
	timer := time.AfterFunc(most, w.let)
	w.readAhead()
	timer.Stop()
	w.let()
}

func (w *window) readAhead() {
	defer close(w.done)
	buf := make([]byte, heldBuffer)
	for {
		w.flight.wait(w.flight.upstream.timeouts.StreamIdle)
		n, err := w.source.Read(buf)
		w.flight.since.Store(0)
		if n > 0 {
			w.flight.spoke()
		}
		if w.take(buf[:n], err) {
			return
		}
	}
}

// let releases the stream, the first time.
func (w *window) let() {
	w.mu.Lock()
	release, found, err := w.release, w.scanner.found, error(nil)
	w.release = nil
	if found.kind == quiet {
		err = w.err
	}
	w.mu.Unlock()
	if release == nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = errEmpty
	}
	release(found, err)
}

// take reports whether enough was read ahead.
func (w *window) take(p []byte, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = append(w.held, p...)
	w.err = err
	if w.release == nil {
		return true
	}
	w.scanner.scan(w.held)
	if errors.Is(err, io.EOF) {
		w.scanner.end(w.held)
	}
	return err != nil || w.scanner.found.kind != quiet || len(w.held) >= heldBytes || w.scanner.events >= heldEvents
}

// Read returns what was held, then what follows.
func (w *window) Read(p []byte) (int, error) {
	if n := w.give(p); n > 0 {
		return n, nil
	}
	<-w.done
	if n := w.give(p); n > 0 {
		return n, nil
	}
	if w.err != nil {
		return 0, w.err
	}
	return w.source.Read(p)
}

func (w *window) give(p []byte) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := copy(p, w.held)
	if w.held = w.held[n:]; len(w.held) == 0 {
		w.held = nil
	}
	return n
}

// Close ends reading ahead, too.
func (w *window) Close() error {
	err := w.source.Close()
	<-w.done
	return err
}
