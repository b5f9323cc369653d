package outbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/memory"
)

func TestDelete_drops_queued_turns(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		wantAdded(t, r, key, nil, "1")
		r.store.down.Store(true)
		wantAdded(t, r, key, memory.ErrQueued, "2", "3")
		wantAdded(t, r, other, memory.ErrQueued, "a")
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
		wantAdded(t, r, key, memory.ErrQueued, "1")
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
