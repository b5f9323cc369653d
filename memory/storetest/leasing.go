package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
)

func wantLease(ctx context.Context, t *testing.T, s memory.Store, holder string, d time.Duration, want bool) {
	t.Helper()
	if got, err := s.Lease(ctx, key, holder, d); err != nil || got != want {
		t.Fatalf("the lease for %s is %v, %v, want %v", holder, got, err, want)
	}
}

// release gives a lease back; what that returns says nothing.
func release(ctx context.Context, t *testing.T, s memory.Store, holder string) {
	t.Helper()
	if _, err := s.Lease(ctx, key, holder, 0); err != nil {
		t.Fatalf("give back: %v", err)
	}
}

func leaseExclusive(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	wantLease(ctx, t, s, "a", time.Hour, false)
	release(ctx, t, s, "a")
	fill(ctx, t, s, key, 1)
	before := describe(ctx, t, s, key)
	wantLease(ctx, t, s, "a", time.Hour, true)
	wantLease(ctx, t, other, "b", time.Hour, false)
	wantLease(ctx, t, s, "b", time.Hour, false)
	wantLease(ctx, t, other, "a", time.Hour, true)
	release(ctx, t, other, "b") // not its own
	wantLease(ctx, t, other, "b", time.Hour, false)
	add(ctx, t, s, key, exchange("2"), 2)
	wantLease(ctx, t, other, "b", time.Hour, false)
	release(ctx, t, other, "a")
	wantLease(ctx, t, other, "b", time.Hour, true)
	wantLease(ctx, t, s, "a", time.Hour, false)
	if after := describe(ctx, t, s, key); after.Seq != 2 || after.Totals.Turns != 2 || !after.Updated.Equal(before.Updated) {
		t.Fatalf("leases made %+v of %+v", after, before)
	}

	// A lease belongs to one life of one session.
	if err := s.Delete(ctx, key); err != nil {
		t.Fatal(err)
	}
	wantLease(ctx, t, other, "b", time.Hour, false)
	fill(ctx, t, s, key, 1)
	var wg sync.WaitGroup
	var holders atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			got, err := []memory.Store{s, other}[i%2].Lease(ctx, key, fmt.Sprint(i), time.Hour)
			if err != nil {
				t.Error(err)
			}
			if got {
				holders.Add(1)
			}
		})
	}
	wg.Wait()
	if n := holders.Load(); n != 1 {
		t.Fatalf("%d hold the lease", n)
	}
}

func leaseExpires(t *testing.T, b Backend) {
	if b.Advance == nil {
		t.Skip("time cannot be advanced here")
	}
	ctx, s, other := context.Background(), b.open(t, Options{}), b.open(t, Options{})
	fill(ctx, t, s, key, 1)
	wantLease(ctx, t, s, "a", time.Minute, true)
	b.Advance(50 * time.Second)
	wantLease(ctx, t, other, "b", time.Minute, false)
	wantLease(ctx, t, s, "a", time.Minute, true) // extended
	b.Advance(50 * time.Second)
	wantLease(ctx, t, other, "b", time.Minute, false)
	b.Advance(11 * time.Second)
	wantLease(ctx, t, other, "b", time.Minute, true)
	wantLease(ctx, t, s, "a", time.Minute, false)
}
