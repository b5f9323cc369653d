package outbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/memory"
)

func TestSpool_has_no_byte_of_a_deleted_session(t *testing.T) {
	dir := t.TempDir()
	secret := memory.Key{Tenant: "tenant", Session: "a-secret-name"}
	inBubble(t, Options{SpoolDir: dir, MaxTurns: 1}, func(t *testing.T, r *rig) {
		var stuck atomic.Bool
		r.store.onAppends(func(k memory.Key, _ *memory.Turn) fault {
			if stuck.Load() && k == other {
				return before
			}
			return none
		})
		for round := range 4 {
			r.store.down.Store(true)
			for i := range 5 {
				wantAdded(t, r, secret, memory.ErrQueued, fmt.Sprint("a-secret-", i))
				wantAdded(t, r, other, memory.ErrQueued, fmt.Sprint(round, i))
			}
			synctest.Wait()
			if round%2 == 1 { // deleted after it was stored, while its files are there still
				stuck.Store(true)
				r.store.down.Store(false)
				time.Sleep(time.Second)
				wantLogOf(t, r, secret, 5)
			}
			if holds(t, dir, "a-secret") != (round%2 == 0) {
				t.Fatalf("in round %d the files hold it: %v", round, round%2 != 0)
			}
			if err := r.Delete(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			if holds(t, dir, "a-secret") || !holds(t, dir, `"session":"other"`) {
				t.Fatalf("after round %d the files hold it still", round)
			}
			stuck.Store(false)
			r.store.down.Store(false)
			time.Sleep(time.Minute)
			wantLog(t, r, secret)
		}
		wantLogOf(t, r, other, 20)
		if got := r.Status(); got != (Status{}) {
			t.Errorf("status %+v", got)
		}
	})
}

func TestDelete_reaches_what_a_process_left_that_died(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, Options{SpoolDir: dir}, func(t *testing.T, r *rig) {
		leave(t, dir, key, "1", "2")
		leave(t, dir, other, "a")
		if err := r.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wantLog(t, r, key)
		wantLog(t, r, other, "a")
		leave(t, dir, key, "3", "4")
		if err := r.DeleteAt(t.Context(), key, 0); !errors.Is(err, memory.ErrConflict) {
			t.Errorf("delete at: %v", err)
		}
		wantLog(t, r, key, "3", "4")
	})
}

// holds reports whether a file in the directory holds a text.
func holds(t *testing.T, dir, text string) bool {
	t.Helper()
	for _, path := range filesOf(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}
