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

	mu       sync.Mutex
	scanner  eventScanner
	held     []byte
	err      error // that reading ended with
	released bool
}

func isStream(h http.Header) bool { return isKind(h, "text/event-stream") }

func isKind(h http.Header, kind string) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), kind)
}

// hold reads ahead until the stream speaks, fails, or was held long enough. An
// error means that it broke before it spoke.
func (f *flight) hold(most time.Duration) (finding, error) {
	w := &window{flight: f, source: f.source, done: make(chan struct{})}
	f.source = w
	go w.readAhead()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = true
	found := w.scanner.found
	if found.kind == quiet && w.err != nil {
		if errors.Is(w.err, io.EOF) {
			return found, errEmpty
		}
		return found, w.err
	}
	return found, nil
}

func (w *window) readAhead() {
	defer close(w.done)
	buf := make([]byte, bufferSize)
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

// take reports whether enough was read ahead.
func (w *window) take(p []byte, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = append(w.held, p...)
	w.err = err
	if w.released {
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
