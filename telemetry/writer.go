package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	writerBuffer = 1 << 20                // bytes that wait at most
	writerBatch  = 64 << 10               // bytes that are worth a write at once
	writerDelay  = 100 * time.Millisecond // how long a line waits at most
)

// A writer stands between the program and its log: a slow or stuck output never
// blocks who writes. Lines are collected and written in batches by one goroutine;
// a line that finds the buffer full is dropped whole and counted.
type writer struct {
	out  io.Writer
	wake chan struct{} // the buffer is no longer empty
	full chan struct{} // the buffer holds a batch
	stop chan struct{}
	done chan struct{}

	dropped atomic.Int64 // lines

	mu      sync.Mutex
	pending []byte
	closed  bool
}

func newWriter(out io.Writer) *writer {
	w := &writer{
		out:  out,
		wake: make(chan struct{}, 1),
		full: make(chan struct{}, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	go w.run()
	return w
}

// Write takes one whole line. It never blocks and never fails.
func (w *writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	before := len(w.pending)
	after := before + len(line)
	fits := !w.closed && after <= writerBuffer
	if fits {
		w.pending = append(w.pending, line...)
	}
	w.mu.Unlock()
	switch {
	case !fits:
		w.dropped.Add(1)
	case before == 0:
		nudge(w.wake)
	}
	if fits && before < writerBatch && after >= writerBatch {
		nudge(w.full)
	}
	return len(line), nil
}

// Close writes what is pending, and gives up when ctx ends. Later lines are
// dropped.
func (w *writer) Close(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.stop)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flush log: the output is stuck: %w", ctx.Err())
	}
}

// Private

func (w *writer) run() {
	defer close(w.done)
	var spare []byte
	delay := time.NewTimer(writerDelay)
	defer delay.Stop()
	for stopped := false; !stopped; {
		select {
		case <-w.wake:
			delay.Reset(writerDelay)
			select {
			case <-delay.C:
			case <-w.full:
			case <-w.stop:
				stopped = true
			}
		case <-w.stop:
			stopped = true
		}
		spare = w.flush(spare)
	}
}

// flush writes the pending lines and returns their buffer for reuse; spare takes
// the lines that come meanwhile.
func (w *writer) flush(spare []byte) []byte {
	w.mu.Lock()
	batch := w.pending
	w.pending = spare[:0]
	w.mu.Unlock()
	if len(batch) == 0 {
		return batch
	}
	if n, err := w.out.Write(batch); err != nil {
		w.dropped.Add(int64(bytes.Count(batch[min(max(n, 0), len(batch)):], []byte{'\n'})))
	}
	return batch
}

// nudge leaves a note for a receiver that may be busy.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
