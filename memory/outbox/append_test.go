package outbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"mnemo/memory"
)

func TestAppend_tells_why_the_turn_is_queued(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		r.store.down.Store(true)
		if err := add(r, key, "1"); !errors.Is(err, memory.ErrQueued) || !errors.Is(err, errOutage) {
			t.Errorf("the first one: %v", err)
		}
		if err := add(r, key, "2"); !errors.Is(err, memory.ErrQueued) || !errors.Is(err, memory.ErrDown) {
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
				wantAdded(t, r, key, memory.ErrQueued, "1")
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
		if _, err := r.Append(ctx, key, exchange("1")); !errors.Is(err, memory.ErrQueued) || time.Since(begin) > 10*time.Millisecond {
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
		if _, err := r.Append(ctx, key, exchange("1")); !errors.Is(err, context.Canceled) || errors.Is(err, memory.ErrQueued) {
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
		wantAdded(t, r, key, memory.ErrQueued, "5")
		wantAdded(t, r, memory.Key{Tenant: "t"}, memory.ErrKey, "6")
		if _, err := r.Append(ctx, key, exchange("7")); !errors.Is(err, context.Canceled) || errors.Is(err, memory.ErrQueued) {
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
