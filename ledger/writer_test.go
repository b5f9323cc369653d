package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
	"mnemo/ledger"
)

func addMany(w *ledger.Writer, from, to int) {
	for i := from; i < to; i++ {
		w.Add(&ledger.Entry{ID: fmt.Sprint(i), Time: time.Now(), Tenant: "t", Session: "s"})
	}
}

// wantKept checks that the entries from 0 to n are kept once and in order.
func wantKept(t *testing.T, s *shelf, n int) {
	t.Helper()
	kept := s.kept()
	for i := range min(n, len(kept)) {
		if kept[i].ID != fmt.Sprint(i) {
			t.Fatalf("entry %d is %s", i, kept[i].ID)
		}
	}
	if len(kept) != n {
		t.Fatalf("%d entries are kept, want %d", len(kept), n)
	}
}

func closed(t *testing.T, w *ledger.Writer) {
	t.Helper()
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWriter_writes_every_interval_or_when_there_is_a_batch(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{}
		w := ledger.NewWriter(ledger.WriterOptions{Store: s, Interval: time.Second, Batch: 10, Queue: 100})
		defer closed(t, w)
		addMany(w, 0, 9)
		synctest.Wait()
		if got := s.sizes(); len(got) != 0 {
			t.Fatalf("written at once: %v", got)
		}
		addMany(w, 9, 10)
		synctest.Wait()
		if got := s.sizes(); !slices.Equal(got, []int{10}) {
			t.Fatalf("a whole batch is written as %v", got)
		}
		addMany(w, 10, 13)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.sizes(); !slices.Equal(got, []int{10, 3}) || w.Queued() != 0 {
			t.Fatalf("after an interval %v are written, %d wait", got, w.Queued())
		}
		time.Sleep(time.Minute)
		if got := s.sizes(); len(got) != 2 {
			t.Fatalf("nothing is written as %v", got)
		}
		wantKept(t, s, 13)
	})
}

func TestWriter_keeps_what_waits_while_the_store_is_down(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var told []int64
		s := &shelf{down: true}
		w := ledger.NewWriter(ledger.WriterOptions{
			Store: s, Batch: 10, Queue: 50, Log: slog.New(slog.NewTextHandler(&log, nil)), OnDrop: func(n int64) { told = append(told, n) },
		})
		addMany(w, 0, 50)
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.Dropped() != 0 || w.Queued() != 50 {
			t.Fatalf("%d are dropped, %d wait", w.Dropped(), w.Queued())
		}
		var pauses []time.Duration
		s.set(func(s *shelf) {
			for i := 1; i < len(s.tried); i++ {
				pauses = append(pauses, s.tried[i].Sub(s.tried[i-1]))
			}
		})
		if len(pauses) < 4 || len(pauses) > 8 || !slices.IsSorted(pauses) || pauses[len(pauses)-1] > 31*time.Second {
			t.Errorf("the pauses are %v", pauses)
		}
		addMany(w, 50, 57)
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.Dropped() != 7 || !slices.Equal(told, []int64{7}) {
			t.Errorf("%d are dropped, told is %v", w.Dropped(), told)
		}
		s.set(func(s *shelf) { s.down, s.unsure = false, true }) // what is written is written again
		time.Sleep(time.Minute)
		s.set(func(s *shelf) { s.unsure = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		wantKept(t, s, 50)
		addMany(w, 50, 60)
		time.Sleep(2 * time.Second)
		wantKept(t, s, 60)
		closed(t, w)
		if text := log.String(); strings.Count(text, "cannot be written") != 1 || strings.Count(text, "written again") != 1 || strings.Count(text, "were dropped") != 1 {
			t.Errorf("the log says\n%s", text)
		}
	})
}

func TestWriter_Add_does_not_wait_for_a_store_that_hangs(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{slow: time.Hour}
		w := ledger.NewWriter(ledger.WriterOptions{Store: s, Batch: 10, Queue: 20, Timeout: 5 * time.Second})
		began := time.Now()
		addMany(w, 0, 10)
		synctest.Wait()
		addMany(w, 10, 25)
		if took := time.Since(began); took > 0 || w.Dropped() != 5 {
			t.Fatalf("adding took %v, %d are dropped", took, w.Dropped())
		}
		time.Sleep(6 * time.Second)
		s.set(func(s *shelf) { s.slow = 0 })
		time.Sleep(time.Minute)
		wantKept(t, s, 20)
		closed(t, w)
	})
}

func TestWriter_Close_writes_what_waits(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{down: true}
		w := ledger.NewWriter(ledger.WriterOptions{Store: s, Batch: 10, Queue: 100})
		addMany(w, 0, 95)
		time.AfterFunc(5*time.Second, func() { s.set(func(s *shelf) { s.down = false }) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Close(ctx); err != nil {
			t.Fatal(err)
		}
		wantKept(t, s, 95)
		addMany(w, 95, 96)
		if w.Dropped() != 1 || w.Close(ctx) != nil {
			t.Errorf("after closing, %d are dropped", w.Dropped())
		}
	})
}

func TestWriter_Close_gives_up_with_its_context(t *testing.T) {
	for _, s := range []*shelf{{down: true}, {slow: time.Hour}} {
		bubble.Test(t, func(t *testing.T) {
			told := int64(0)
			w := ledger.NewWriter(ledger.WriterOptions{Store: s, Queue: 100, OnDrop: func(n int64) { told += n }, Keep: time.Hour})
			addMany(w, 0, 42)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			began := time.Now()
			if err := w.Close(ctx); err == nil || !strings.Contains(err.Error(), "42 entries") {
				t.Errorf("close: %v", err)
			}
			if took := time.Since(began); took != 3*time.Second || w.Dropped() != 42 || told != 42 {
				t.Errorf("after %v %d are dropped, told is %d", took, w.Dropped(), told)
			}
		})
	}
}

func TestWriter_gives_each_entry_a_UID_of_its_own(t *testing.T) {
	s := &shelf{}
	var writers [2]*ledger.Writer
	var wg sync.WaitGroup
	for i := range writers {
		writers[i] = ledger.NewWriter(ledger.WriterOptions{Store: s})
		for range 4 {
			wg.Go(func() { addMany(writers[i], 0, 1000) })
		}
	}
	wg.Wait()
	for _, w := range writers {
		closed(t, w)
	}
	if n := len(s.kept()); n != 8000 {
		t.Errorf("%d entries have a UID of their own", n)
	}
}

func TestWriter_bounds_entries_before_they_are_written(t *testing.T) {
	s := &shelf{}
	w := ledger.NewWriter(ledger.WriterOptions{Store: s})
	w.Add(&ledger.Entry{ModelAsked: strings.Repeat("m", 10_000), Usage: ledger.Usage{Input: -1}})
	closed(t, w)
	if e := s.kept()[0]; len(e.ModelAsked) != ledger.MaxText || e.Usage.Input != 0 {
		t.Errorf("%+v", e)
	}
}

func TestWriter_forgets_sessions_of_entries_that_wait(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{}
		w := ledger.NewWriter(ledger.WriterOptions{Store: s, Batch: 10, Queue: 10})
		addMany(w, 0, 10)
		synctest.Wait()
		addMany(w, 10, 15) // around the ring's end
		w.Add(&ledger.Entry{Tenant: "other", Session: "s"})
		if err := w.Forget(t.Context(), "t", "s"); err != nil {
			t.Fatal(err)
		}
		closed(t, w)
		var sessions []string
		for _, e := range s.kept()[10:] {
			sessions = append(sessions, e.Session)
		}
		if want := []string{"", "", "", "", "", "s"}; !slices.Equal(sessions, want) || !slices.Equal(s.forgot, []string{"t/s"}) {
			t.Errorf("sessions %q, forgotten %q", sessions, s.forgot)
		}
	})
}

func TestWriter_Forget_waits_for_the_batch_under_way_but_not_for_ever(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{slow: 10 * time.Second}
		w := ledger.NewWriter(ledger.WriterOptions{Store: s})
		addMany(w, 0, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Forget(ctx, "t", "s"); err == nil || len(s.sizes()) != 0 {
			t.Errorf("it did not wait: %v", err)
		}
		if err := w.Forget(t.Context(), "t", "s"); err != nil || len(s.sizes()) != 1 {
			t.Errorf("forgotten after %d batches: %v", len(s.sizes()), err)
		}
		closed(t, w)
		if !slices.Equal(s.forgot, []string{"t/s"}) {
			t.Errorf("forgotten %q", s.forgot)
		}
	})
}

func TestWriter_rolls_up_at_its_start_and_every_hour(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{}
		began := time.Now()
		w := ledger.NewWriter(ledger.WriterOptions{Store: s, Keep: 72 * time.Hour})
		time.Sleep(2*time.Hour + time.Minute)
		closed(t, w)
		want := []time.Time{began.Add(-72 * time.Hour), began.Add(-71 * time.Hour), began.Add(-70 * time.Hour)}
		if !slices.EqualFunc(s.rolled, want, time.Time.Equal) {
			t.Errorf("rolled before %v, want %v", s.rolled, want)
		}
	})
}

func TestWriter_keeps_calls_for_ever_if_it_is_not_told_otherwise(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		s := &shelf{}
		w := ledger.NewWriter(ledger.WriterOptions{Store: s})
		time.Sleep(48 * time.Hour)
		closed(t, w)
		if len(s.rolled) != 0 {
			t.Errorf("rolled before %v", s.rolled)
		}
	})
}

func BenchmarkWriter_Add(b *testing.B) {
	for name, batch := range map[string]int{"waiting": 1 << 30, "written": ledger.DefaultBatch} {
		b.Run(name, func(b *testing.B) {
			w := ledger.NewWriter(ledger.WriterOptions{Store: &sink{}, Queue: b.N + 1, Batch: batch, Interval: time.Hour})
			entries := make([]ledger.Entry, b.N)
			for i := range entries {
				entries[i].ID = "x" // so that the memory is there
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range entries {
				w.Add(&entries[i])
			}
			b.StopTimer()
			if err := w.Close(b.Context()); err != nil || w.Dropped() != 0 {
				b.Errorf("%d are dropped, %v", w.Dropped(), err)
			}
		})
	}
}

// A sink takes everything and keeps nothing.
type sink struct{ ledger.Store }

func (*sink) Append(context.Context, []ledger.Entry) error { return nil }
