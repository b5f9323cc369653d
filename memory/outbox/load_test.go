package outbox

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/memory"
)

func TestLoad_fails_at_once_while_the_store_is_down(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.onPings(func() fault { return hang })
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return hang })
		wantAdded(t, r, key, memory.ErrQueued, "1")
		begin := time.Now()
		for _, k := range []memory.Key{key, other} {
			if _, err := r.Load(t.Context(), k, all); !errors.Is(err, memory.ErrDown) {
				t.Errorf("load: %v", err)
			}
		}
		wantAdded(t, r, other, memory.ErrQueued, "2")
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
		r.store.onPings(nil)
		r.store.onAppends(nil)
	})
}

func TestLoad_that_is_late_again_and_again_means_that_the_store_is_down(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		load := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
			defer cancel()
			_, err := r.Load(ctx, key, all)
			return err
		}
		kinds := []fault{hang, hang, none, hang, hang, hang}
		r.store.onLoads(func() fault {
			kind := kinds[0]
			kinds = kinds[1:]
			return kind
		})
		for i := range kinds {
			if r.Status().Down {
				t.Fatalf("down before load %d", i)
			}
			_ = load()
		}
		if !r.Status().Down {
			t.Fatal("not down after three late loads")
		}
		if err := load(); !errors.Is(err, memory.ErrDown) {
			t.Errorf("load: %v", err)
		}
		time.Sleep(DefaultProbeInterval)
		synctest.Wait()
		r.store.onLoads(nil)
		if err := load(); err != nil || r.trouble.Load() {
			t.Errorf("the store answered a ping, and load: %v", err)
		}
	})
}

func TestLoad_that_its_caller_gave_up_says_nothing_of_the_store(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		for range 2 * lateLoads {
			ctx, cancel := context.WithCancel(t.Context())
			r.store.onLoads(func() fault {
				cancel()
				return hang
			})
			if _, err := r.Load(ctx, key, all); !errors.Is(err, context.Canceled) {
				t.Errorf("load: %v", err)
			}
		}
		r.store.onLoads(nil)
		if _, err := r.Load(t.Context(), memory.Key{}, all); !errors.Is(err, memory.ErrKey) {
			t.Errorf("load: %v", err)
		}
		if r.trouble.Load() {
			t.Error("there is trouble")
		}
	})
}

func TestLoad_writes_the_sessions_queued_turns_first(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		var takes atomic.Bool
		r.store.onAppends(func(k memory.Key, _ *memory.Turn) fault {
			if k == key && !takes.Load() {
				return before
			}
			return none
		})
		wantAdded(t, r, key, memory.ErrQueued, "1")
		synctest.Wait()
		if r.Status().Down {
			t.Fatal("the store answers")
		}
		wantAdded(t, r, other, nil, "a")
		wantLog(t, r, other, "a")
		loads := r.store.loaded.Load()
		if _, err := r.Load(t.Context(), key, all); !errors.Is(err, memory.ErrDown) || r.store.loaded.Load() != loads {
			t.Errorf("load with a queued turn: %v", err)
		}
		takes.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, "2") // behind the first
		begin := time.Now()
		wantLog(t, r, key, "1", "2")
		if time.Since(begin) != 0 {
			t.Error("the load waited for the prober")
		}
		wantAdded(t, r, key, nil, "3")
		if r.trouble.Load() {
			t.Error("there is trouble still")
		}
	})
}

func TestLoad_waits_for_queued_turns_no_longer_than_its_context(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return before })
		wantAdded(t, r, key, memory.ErrQueued, "1")
		synctest.Wait()
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return hang })
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_, err := r.Load(ctx, key, all)
		if !errors.Is(err, memory.ErrDown) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 250*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		r.store.onAppends(nil)
	})
}

func TestPing_says_down_until_calls_are_served_again(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		if err := r.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.store.down.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, "1")
		synctest.Wait()
		r.store.down.Store(false)
		if err := r.Ping(t.Context()); !errors.Is(err, memory.ErrDown) {
			t.Errorf("before the outbox found out: %v", err)
		}
		time.Sleep(2 * DefaultProbeInterval) // of the bubble
		synctest.Wait()
		if err := r.Ping(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
