package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

func TestWriter_writes_a_line_after_a_short_delay(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var out batches
		w := newWriter(&out)
		io.WriteString(w, "one\n")
		io.WriteString(w, "two\n")
		time.Sleep(writerDelay - 1) // of the bubble's clock
		synctest.Wait()
		if got := out.all(); len(got) != 0 {
			t.Errorf("written early: %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := out.all(); !slices.Equal(got, []string{"one\ntwo\n"}) {
			t.Errorf("got %q", got)
		}
		io.WriteString(w, "three\n")
		time.Sleep(writerDelay)
		synctest.Wait()
		if got := out.all(); len(got) != 2 || got[1] != "three\n" {
			t.Errorf("got %q", got)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWriter_does_not_wait_with_a_full_batch(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var out batches
		w := newWriter(&out)
		begin := time.Now()
		line := strings.Repeat("x", writerBatch/4-1) + "\n"
		for range 4 {
			io.WriteString(w, line)
		}
		synctest.Wait()
		if got := out.all(); len(got) != 1 || len(got[0]) != writerBatch || time.Since(begin) != 0 {
			t.Errorf("%d batches after %v", len(got), time.Since(begin))
		}
		w.Close(t.Context())
	})
}

func TestWriter_loses_nothing_when_it_is_closed(t *testing.T) {
	var out bytes.Buffer
	w := newWriter(&out)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				io.WriteString(w, "a line\n")
			}
		})
	}
	group.Wait()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "a line\n"); got != 2000 || out.Len() != 2000*7 {
		t.Errorf("%d lines, %d bytes", got, out.Len())
	}
	if w.dropped.Load() != 0 {
		t.Errorf("%d dropped", w.dropped.Load())
	}
	io.WriteString(w, "too late\n")
	if w.dropped.Load() != 1 || w.Close(t.Context()) != nil {
		t.Error("a line after Close must be dropped, a second Close must do nothing")
	}
}

func TestWriter_never_blocks_on_a_stuck_output(t *testing.T) {
	out := &stuck{release: make(chan struct{})}
	w := newWriter(out)
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 3 * writerBuffer / 1024
	for range lines {
		io.WriteString(w, line) // would never return
	}
	w.mu.Lock()
	pending := len(w.pending)
	w.mu.Unlock()
	if pending > writerBuffer {
		t.Errorf("%d bytes are pending", pending)
	}
	if w.dropped.Load() < lines/3 {
		t.Errorf("%d of %d lines dropped", w.dropped.Load(), lines)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Close of a stuck writer: %v", err)
	}
	close(out.release)
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.lines + int(w.dropped.Load()); got != lines || out.torn {
		t.Errorf("%d written and %d dropped of %d lines, torn: %v", out.lines, w.dropped.Load(), lines, out.torn)
	}
}

func TestWriter_counts_the_lines_of_a_failed_write(t *testing.T) {
	w := newWriter(broken{})
	io.WriteString(w, "one\n")
	io.WriteString(w, "two\n")
	w.Close(t.Context())
	if got := w.dropped.Load(); got != 2 {
		t.Errorf("%d dropped", got)
	}
}

// Private

// batches keeps each write apart.
type batches struct {
	mu     sync.Mutex
	writes []string
}

func (b *batches) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes = append(b.writes, string(p))
	return len(p), nil
}

func (b *batches) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.writes)
}

// stuck blocks until it is released, then counts what it gets.
type stuck struct {
	release chan struct{}
	lines   int
	torn    bool
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	s.lines += bytes.Count(p, []byte{'\n'})
	s.torn = s.torn || p[len(p)-1] != '\n'
	return len(p), nil
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
