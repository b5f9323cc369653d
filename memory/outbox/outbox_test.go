package outbox

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
	"mnemo/memory"
)

func TestOutbox_passes_everything_through_while_the_store_answers(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		wantAdded(t, r, key, nil, "1", "2")
		wantLog(t, r, key, "1", "2")
		if err := r.Ping(t.Context()); err != nil || r.store.pinged.Load() != 1 {
			t.Errorf("ping: %v", err)
		}
		if got := r.Status(); got != (Status{}) {
			t.Errorf("status %+v", got)
		}
		if r.shelf.sessions[key].Turns[0].ID == "" {
			t.Error("a turn has no ID")
		}
	})
}

func TestOutbox_writes_queued_turns_in_order_when_the_store_is_back(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		wantAdded(t, r, key, nil, "1")
		r.store.down.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, "2", "3")
		wantAdded(t, r, other, memory.ErrQueued, "a")
		synctest.Wait()
		down := r.Status()
		if !down.Down || down.Queued != 3 || down.QueuedBytes == 0 || down.Since.IsZero() || down.Lost != 0 {
			t.Errorf("status %+v", down)
		}
		time.Sleep(time.Minute)
		if n := r.store.pinged.Load(); n < 120 || n > 480 {
			t.Errorf("%d pings in a minute", n)
		}
		r.store.down.Store(false)
		time.Sleep(time.Second)
		wantLog(t, r, key, "1", "2", "3")
		wantLog(t, r, other, "a")
		if got := r.Status(); got != (Status{}) {
			t.Errorf("status %+v", got)
		}
		pings := r.store.pinged.Load()
		time.Sleep(time.Hour)
		if r.store.pinged.Load() != pings {
			t.Error("a healthy store is pinged")
		}
		if r.log.count("the store is down") != 1 || r.log.count("the store is back") != 1 || r.log.count("level=") != 2 {
			t.Errorf("the log says\n%s", r.log)
		}
	})
}

func TestOutbox_gives_up_a_turn_that_alone_is_never_taken(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.onAppends(func(_ memory.Key, turn *memory.Turn) fault {
			if nameOf(turn) == "poison" {
				return before
			}
			return none
		})
		wantAdded(t, r, key, memory.ErrQueued, "poison", "1")
		time.Sleep(time.Hour)
		if got := r.Status(); got.Queued != 2 || got.Down {
			t.Fatalf("with nothing to compare it to: %+v", got)
		}
		for range 2 * maxRefusals {
			wantAdded(t, r, other, nil, "a")
			time.Sleep(2 * longestRetry)
		}
		wantLog(t, r, key, "1")
		if got := r.Status(); got != (Status{Lost: 1}) {
			t.Errorf("status %+v", got)
		}
		if n := r.log.count("does not take"); n < 2 || n > 80 || r.log.count("given up") != 1 {
			t.Errorf("the log says\n%s", r.log)
		}
	})
}

func TestOutbox_counts_what_does_not_fit_and_says_so_once(t *testing.T) {
	for name, opts := range map[string]Options{"turns": {MaxTurns: 3}, "bytes": {MaxBytes: 3 * newEntry(key, exchange("1")).size}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, opts, func(t *testing.T, r *rig) {
				r.store.down.Store(true)
				wantAdded(t, r, key, memory.ErrQueued, "1", "2", "3")
				for range 50 {
					wantAdded(t, r, key, ErrLost, "4")
				}
				time.Sleep(time.Second)
				if r.log.count("turns are lost") != 1 || r.log.count("turns=50") != 1 {
					t.Errorf("the log says\n%s", r.log)
				}
				wantAdded(t, r, other, ErrLost, "a")
				r.store.down.Store(false)
				time.Sleep(time.Second)
				wantLog(t, r, key, "1", "2", "3")
				if got := r.Status(); got != (Status{Lost: 51}) {
					t.Errorf("status %+v", got)
				}
				if r.log.count("turns are lost") != 2 || r.log.count("turns=1\n") != 1 {
					t.Errorf("the log says\n%s", r.log)
				}
			})
		})
	}
}

func TestClose_writes_what_is_queued(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.store.down.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, numbers(1, 100)...)
		time.AfterFunc(3*time.Second, func() { r.store.down.Store(false) })
		begin := time.Now()
		if err := r.Close(); err != nil || time.Since(begin) > 4*time.Second {
			t.Errorf("close after %v: %v", time.Since(begin), err)
		}
		wantLog(t, r.shelf, key, numbers(1, 100)...)
		if r.log.count("lost") != 1 { // the recovery says lost=0
			t.Errorf("the log says\n%s", r.log)
		}
		wantAdded(t, r, key, ErrClosed, "late")
		if _, err := r.Load(t.Context(), key, all); !errors.Is(err, ErrClosed) {
			t.Errorf("load: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestClose_says_what_is_lost(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.store.down.Store(true)
		r.store.onPings(func() fault { return hang })
		wantAdded(t, r, key, memory.ErrQueued, numbers(1, 7)...)
		begin := time.Now()
		if err := r.Close(); err != nil || time.Since(begin) != DefaultCloseTimeout {
			t.Errorf("close after %v: %v", time.Since(begin), err)
		}
		if r.log.count(`msg="turns are lost" turns=7`) != 1 || !r.shelf.closed {
			t.Errorf("the log says\n%s", r.log)
		}
	})
}
