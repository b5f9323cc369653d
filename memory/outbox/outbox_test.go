package outbox

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

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
		wantAdded(t, r, key, ErrQueued, "2", "3")
		wantAdded(t, r, other, ErrQueued, "a")
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

func TestAppend_tells_why_the_turn_is_queued(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		if err := add(r, key, "1"); !errors.Is(err, ErrQueued) || !errors.Is(err, errOutage) {
			t.Errorf("the first one: %v", err)
		}
		if err := add(r, key, "2"); !errors.Is(err, ErrQueued) || !errors.Is(err, ErrDown) {
			t.Errorf("the second one: %v", err)
		}
		r.store.down.Store(false)
	})
}

func TestAppend_is_bounded_and_stored_once_when_its_outcome_is_unknown(t *testing.T) {
	for name, kind := range map[string]fault{"failed": before, "failed after the write": after, "timed out": hang, "timed out after the write": late} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, r *rig) {
				faults := 1
				r.store.onAppends(func(memory.Key, *memory.Turn) fault {
					if faults--; faults == 0 {
						return kind
					}
					return none
				})
				begin := time.Now()
				wantAdded(t, r, key, ErrQueued, "1")
				if took := time.Since(begin); took > DefaultAppendTimeout {
					t.Errorf("it took %v", took)
				}
				synctest.Wait()
				wantAdded(t, r, key, nil, "2")
				wantLog(t, r, key, "1", "2")
				if r.log.count("level=") != 0 {
					t.Errorf("the log says\n%s", r.log)
				}
			})
		})
	}
}

func TestAppend_leaves_a_nearer_deadline_to_the_caller(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return hang })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if _, err := r.Append(ctx, key, exchange("1")); !errors.Is(err, ErrQueued) || time.Since(begin) > 10*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		synctest.Wait()
		r.store.onAppends(nil)
		time.Sleep(5 * time.Second)
		wantLog(t, r, key, "1")
	})
}

func TestAppend_keeps_nothing_that_its_caller_gave_up_or_the_store_refuses(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithCancel(t.Context())
		r.store.onAppends(func(memory.Key, *memory.Turn) fault {
			cancel()
			return hang
		})
		if _, err := r.Append(ctx, key, exchange("1")); !errors.Is(err, context.Canceled) || errors.Is(err, ErrQueued) {
			t.Errorf("a caller that left: %v", err)
		}
		r.store.onAppends(nil)
		r.shelf.limit = 1
		wantAdded(t, r, key, nil, "2")
		wantAdded(t, r, key, memory.ErrSessionFull, "3")
		wantAdded(t, r, memory.Key{Tenant: "t"}, memory.ErrKey, "4")
		if got := r.Status(); got != (Status{}) {
			t.Errorf("status %+v", got)
		}
		r.store.down.Store(true)
		wantAdded(t, r, key, ErrQueued, "5")
		wantAdded(t, r, memory.Key{Tenant: "t"}, memory.ErrKey, "6")
		if _, err := r.Append(ctx, key, exchange("7")); !errors.Is(err, context.Canceled) || errors.Is(err, ErrQueued) {
			t.Errorf("a caller that left before: %v", err)
		}
		r.store.down.Store(false)
		time.Sleep(time.Second)
		wantLog(t, r, key, "2") // 5 was refused
		if got := r.Status(); got != (Status{Lost: 1}) {
			t.Errorf("status %+v", got)
		}
		if r.log.count("given up") != 1 || r.log.count("question") != 0 || r.log.count("session=session") != 0 {
			t.Errorf("the log says\n%s", r.log)
		}
	})
}

func TestAppend_copies_what_it_queues(t *testing.T) {
	body := strings.Repeat("x", 1<<20) + `{"role":"tool","tool_call_id":"call","content":"answer"}`
	m, err := memory.ParseMessage(body[1<<20:])
	if err != nil {
		t.Fatal(err)
	}
	m.Calls = []string{body[:10]}
	turn := memory.Turn{ID: body[:11], Model: body[:12], System: body[:13], Persona: body[:14], Messages: []memory.Message{m}}
	e := newEntry(memory.Key{Tenant: body[:15], Session: body[:16]}, turn)
	first, last := uintptr(unsafe.Pointer(unsafe.StringData(body))), uintptr(unsafe.Pointer(unsafe.StringData(body)))+uintptr(len(body))
	kept := e.turn.Messages[0]
	for i, s := range []string{e.turn.ID, e.turn.Model, e.turn.System, e.turn.Persona, kept.Raw, kept.Role, kept.CallID, kept.Calls[0], e.key.Tenant, e.key.Session} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); at >= first && at < last {
			t.Errorf("string %d, %q, is a part of the body", i, s)
		}
	}
	if !e.turn.Redelivered || turn.Redelivered || e.turn.Messages[0].Raw != m.Raw || turn.Messages[0].Calls[0] != body[:10] {
		t.Error("the copy is not right")
	}
}

func TestLoad_fails_at_once_while_the_store_is_down(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.onPings(func() fault { return hang })
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return hang })
		wantAdded(t, r, key, ErrQueued, "1")
		begin := time.Now()
		for _, k := range []memory.Key{key, other} {
			if _, err := r.Load(t.Context(), k, all); !errors.Is(err, ErrDown) {
				t.Errorf("load: %v", err)
			}
		}
		wantAdded(t, r, other, ErrQueued, "2")
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
		if err := load(); !errors.Is(err, ErrDown) {
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
		wantAdded(t, r, key, ErrQueued, "1")
		synctest.Wait()
		if r.Status().Down {
			t.Fatal("the store answers")
		}
		wantAdded(t, r, other, nil, "a")
		wantLog(t, r, other, "a")
		loads := r.store.loaded.Load()
		if _, err := r.Load(t.Context(), key, all); !errors.Is(err, ErrDown) || r.store.loaded.Load() != loads {
			t.Errorf("load with a queued turn: %v", err)
		}
		takes.Store(true)
		wantAdded(t, r, key, ErrQueued, "2") // behind the first
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
		wantAdded(t, r, key, ErrQueued, "1")
		synctest.Wait()
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return hang })
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_, err := r.Load(ctx, key, all)
		if !errors.Is(err, ErrDown) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 250*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		r.store.onAppends(nil)
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
		wantAdded(t, r, key, ErrQueued, "poison", "1")
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
				wantAdded(t, r, key, ErrQueued, "1", "2", "3")
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

func TestDelete_drops_queued_turns(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		wantAdded(t, r, key, nil, "1")
		r.store.down.Store(true)
		wantAdded(t, r, key, ErrQueued, "2", "3")
		wantAdded(t, r, other, ErrQueued, "a")
		if err := r.DeleteAt(t.Context(), key, 1); !errors.Is(err, memory.ErrConflict) {
			t.Errorf("delete at a turn that is not the last: %v", err)
		}
		if err := r.Import(t.Context(), key, &memory.Snapshot{}); !errors.Is(err, memory.ErrExists) {
			t.Errorf("import over queued turns: %v", err)
		}
		if err := r.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		if err := r.Delete(t.Context(), memory.Key{}); !errors.Is(err, memory.ErrKey) {
			t.Error(err)
		}
		if got := r.Status().Queued; got != 1 {
			t.Errorf("%d turns are queued", got)
		}
		r.store.down.Store(false)
		time.Sleep(time.Second)
		wantLog(t, r, key)
		wantLog(t, r, other, "a")
		if err := r.Import(t.Context(), key, &memory.Snapshot{Turns: []memory.Turn{exchange("new")}}); err != nil {
			t.Error(err)
		}
		if err := r.DeleteAt(t.Context(), key, 1); err != nil {
			t.Error(err)
		}
	})
}

func TestDelete_waits_for_a_turn_on_its_way(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.onAppends(func(memory.Key, *memory.Turn) fault { return late })
		wantAdded(t, r, key, ErrQueued, "1")
		synctest.Wait() // it is being written again
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := r.Delete(ctx, key); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("delete: %v", err)
		}
		if err := r.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		r.store.onAppends(nil)
		time.Sleep(time.Minute)
		wantLog(t, r, key)
	})
}

func TestClose_writes_what_is_queued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.store.down.Store(true)
		wantAdded(t, r, key, ErrQueued, numbers(1, 100)...)
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
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.store.down.Store(true)
		r.store.onPings(func() fault { return hang })
		wantAdded(t, r, key, ErrQueued, numbers(1, 7)...)
		begin := time.Now()
		if err := r.Close(); err != nil || time.Since(begin) != DefaultCloseTimeout {
			t.Errorf("close after %v: %v", time.Since(begin), err)
		}
		if r.log.count(`msg="turns are lost" turns=7`) != 1 || !r.shelf.closed {
			t.Errorf("the log says\n%s", r.log)
		}
	})
}
