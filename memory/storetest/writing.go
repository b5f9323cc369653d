package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mnemo/memory"
)

func concurrentAppends(t *testing.T, b Backend) {
	const n, others = 64, 16
	ctx := deadline(t)
	handles := []memory.Store{b.open(t, Options{}), b.open(t, Options{}), b.open(t, Options{})}
	var wg sync.WaitGroup
	var names [n + 1]string
	for i := range n {
		wg.Go(func() {
			name := fmt.Sprint("turn ", i)
			seq, err := handles[i%3].Append(ctx, key, exchange(name))
			if err != nil || seq < 1 || seq > n {
				t.Errorf("append %d: seq %d, %v", i, seq, err)
				return
			}
			names[seq] = name
			got, err := handles[(i+1)%3].Load(ctx, key, everything)
			if _, whole := namesOf(got); err != nil || whole != nil || got.Seq < seq {
				t.Errorf("load after append of %d: seq %d, %v, %v", seq, got.Seq, err, whole)
			}
		})
	}
	for i := range others {
		wg.Go(func() {
			other := memory.Key{Tenant: key.Tenant, Session: fmt.Sprint("other", i)}
			for turn := range 4 {
				if seq, err := handles[i%3].Append(ctx, other, exchange(fmt.Sprint(turn))); err != nil || seq != int64(turn+1) {
					t.Errorf("session %d, turn %d: seq %d, %v", i, turn, seq, err)
				}
			}
		})
	}
	wg.Wait()
	for _, h := range append(handles, b.open(t, Options{})) {
		wantNames(t, loadNames(ctx, t, h, key), names[1:]...)
	}
}

func sessionLimit(t *testing.T, b Backend) {
	ctx := deadline(t)
	named := func(i int) memory.Turn { return exchange(fmt.Sprintf("%03d", i)) }
	first := named(0)
	opts := Options{MaxSessionBytes: int64(10*first.Size() + 1)}
	s, other := b.open(t, opts), b.open(t, opts)
	for i := range 10 {
		if _, err := s.Append(ctx, key, named(i)); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	before := loadNames(ctx, t, other, key)
	full := named(10)
	full.System = `[{"role":"system","content":"refused"}]`
	for _, h := range []memory.Store{s, other} {
		if seq, err := h.Append(ctx, key, full); !errors.Is(err, memory.ErrSessionFull) || seq != 0 {
			t.Fatalf("append to a full session: seq %d, %v", seq, err)
		}
	}
	if got := load(ctx, t, b.open(t, opts), key, everything); got.System != "" {
		t.Fatalf("a refused turn left its instructions %q", got.System)
	}
	wantNames(t, loadNames(ctx, t, s, key), before...)

	// In one batch with turns that fit, only the one that does not is refused.
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			k, want := memory.Key{Tenant: "t", Session: fmt.Sprint(i)}, error(nil)
			if i%4 == 0 {
				k, want = key, memory.ErrSessionFull
			}
			if _, err := s.Append(ctx, k, named(i)); !errors.Is(err, want) {
				t.Errorf("append to %s: %v, want %v", k.Session, err, want)
			}
		})
	}
	wg.Wait()
	wantNames(t, loadNames(ctx, t, other, key), before...)

	fresh := memory.Key{Tenant: key.Tenant, Session: "fresh"}
	huge := exchange(strings.Repeat("x", int(opts.MaxSessionBytes)))
	if _, err := s.Append(ctx, fresh, huge); !errors.Is(err, memory.ErrSessionFull) {
		t.Fatalf("a first turn over the limit: %v", err)
	}
	if seq, err := s.Append(ctx, fresh, named(0)); err != nil || seq != 1 {
		t.Fatalf("a turn after a refused first one: seq %d, %v", seq, err)
	}
}

func cancelled(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	fill(ctx, t, s, key, 2)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Append(gone, key, exchange("3")); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.Load(gone, key, everything); !errors.Is(err, context.Canceled) {
		t.Errorf("load: %v", err)
	}
	if _, err := s.Turns(gone, key, 0, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("turns: %v", err)
	}
	if err := s.Delete(gone, key); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: %v", err)
	}
	wantNames(t, loadNames(ctx, t, s, key), "1", "2")
	wantNames(t, loadNames(ctx, t, b.open(t, Options{}), key), "1", "2")
}

func cancelledMidway(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := map[string]bool{}
	for i := range 64 {
		wg.Go(func() {
			name := fmt.Sprint(i)
			one, cancel := context.WithCancel(ctx)
			wg.Go(cancel)
			if _, err := s.Append(one, key, exchange(name)); err == nil {
				mu.Lock()
				stored[name] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, h := range []memory.Store{s, b.open(t, Options{})} {
		names := loadNames(ctx, t, h, key)
		for name := range stored {
			if !slices.Contains(names, name) {
				t.Errorf("turn %s was acknowledged and is not there", name)
			}
		}
	}
	if _, err := s.Append(ctx, key, exchange("last")); err != nil {
		t.Fatalf("append after cancelled ones: %v", err)
	}
}

func closeWaits(t *testing.T, b Backend) {
	ctx := deadline(t)
	s := b.Open(t, Options{})
	var wg, started sync.WaitGroup
	var acknowledged [64]atomic.Bool
	for i := range acknowledged {
		started.Add(1)
		wg.Go(func() {
			started.Done()
			_, err := s.Append(ctx, key, exchange(fmt.Sprint(i)))
			acknowledged[i].Store(err == nil)
		})
	}
	started.Wait()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	wg.Wait()
	names := loadNames(ctx, t, b.open(t, Options{}), key)
	for i := range acknowledged {
		if acknowledged[i].Load() && !slices.Contains(names, fmt.Sprint(i)) {
			t.Errorf("turn %d was acknowledged and is not there", i)
		}
	}
	if _, err := s.Append(ctx, key, exchange("late")); err == nil {
		t.Error("a closed store took a turn")
	}
	if err := s.Ping(ctx); err == nil {
		t.Error("a closed store answers a ping")
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func reopen(t *testing.T, b Backend) {
	ctx := deadline(t)
	first := b.Open(t, Options{})
	fill(ctx, t, first, key, 30)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s := b.open(t, Options{})
	checkEnd(t, load(ctx, t, s, key, everything), 30)
	if seq, err := s.Append(ctx, key, exchange("31")); err != nil || seq != 31 {
		t.Fatalf("append: seq %d, %v", seq, err)
	}
	checkEnd(t, load(ctx, t, s, key, everything), 31)
}
