package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
)

// wantGone checks that no method finds anything of a session.
func wantGone(ctx context.Context, t *testing.T, s memory.Store, k memory.Key) {
	t.Helper()
	if got := load(ctx, t, s, k, everything); got.Seq != 0 || len(got.Turns) != 0 || got.Totals != (memory.Totals{}) ||
		got.System != "" || got.Persona != "" || got.Summary != nil {
		t.Fatalf("loaded is %+v", got)
	}
	if turns, err := s.Turns(ctx, k, 0, 10); err != nil || len(turns) != 0 {
		t.Fatalf("%d turns, %v", len(turns), err)
	}
	if seq, err := s.Find(ctx, k, linksOf("1")); err != nil || seq != 0 {
		t.Fatalf("found is turn %d, %v", seq, err)
	}
	if info, err := s.Info(ctx, k); !errors.Is(err, memory.ErrNotFound) {
		t.Fatalf("described as %+v, %v", info, err)
	}
	if held, err := s.Lease(ctx, k, "holder", time.Hour); err != nil || held {
		t.Fatalf("the lease is %v, %v", held, err)
	}
	if err := s.DeleteAt(ctx, k, 1); !errors.Is(err, memory.ErrNotFound) {
		t.Fatalf("delete at turn 1: %v", err)
	}
	for _, q := range []memory.Query{{Tenant: k.Tenant, Limit: 1000}, {AllTenants: true, Limit: 1000}, {Tenant: k.Tenant, Search: k.Session, Limit: 1000}} {
		page, err := s.Sessions(ctx, q)
		for _, info := range page {
			if info.Key == k {
				t.Fatalf("%+v lists it", q)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func deleteAt(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	if err := s.DeleteAt(ctx, key, 1); !errors.Is(err, memory.ErrNotFound) {
		t.Fatalf("an unknown session: %v, want ErrNotFound", err)
	}
	fill(ctx, t, s, key, 3)
	for _, seq := range []int64{0, 1, 2, 4, -3} {
		if err := other.DeleteAt(ctx, key, seq); !errors.Is(err, memory.ErrConflict) {
			t.Fatalf("at turn %d of 3: %v, want ErrConflict", seq, err)
		}
	}
	wantLive(ctx, t, other, key, "1", "2", "3")
	add(ctx, t, s, key, edit("3'", 3, 3), 4)
	if err := other.DeleteAt(ctx, key, 3); !errors.Is(err, memory.ErrConflict) {
		t.Fatalf("after an edit: %v, want ErrConflict", err)
	}
	if err := other.DeleteAt(ctx, key, 4); err != nil {
		t.Fatal(err)
	}
	for _, h := range []memory.Store{s, other} {
		wantGone(ctx, t, h, key)
	}
	if err := s.Import(ctx, key, &memory.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	if err := other.DeleteAt(ctx, key, 0); err != nil {
		t.Fatalf("an empty session: %v", err)
	}
	wantGone(ctx, t, s, key)
}

func deletedIsGone(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	for range 2 {
		if err := s.Import(ctx, key, snapshot(t)); err != nil {
			t.Fatal(err)
		}
		add(ctx, t, s, key, edit("12'", 12, 12), 13)
		for _, h := range []memory.Store{s, other} {
			wantFound(ctx, t, h, 1, linksOf("1")...)
			wantLive(ctx, t, h, key, "1", "2", "3", "4", "8", "9", "10", "11", "12'")
		}
		wantLease(ctx, t, s, "holder", time.Hour, true)
		if err := other.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
		for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
			wantGone(ctx, t, h, key)
		}
	}
	add(ctx, t, s, key, exchange("another life"), 1)
	for _, h := range []memory.Store{s, other} {
		wantLive(ctx, t, h, key, "another life")
		wantFound(ctx, t, h, 0, linksOf("1")...)
		wantSummary(ctx, t, h, nil)
		if got := describe(ctx, t, h, key); got.Title != "question another life" || got.Persona != "" || got.System != "" {
			t.Fatalf("described as %+v", got)
		}
	}
}

// each calls the methods that describe or change a session as a whole.
func each(ctx context.Context, s memory.Store, k memory.Key) map[string]error {
	_, findErr := s.Find(ctx, k, linksOf("1"))
	_, leaseErr := s.Lease(ctx, k, "a", time.Hour)
	_, infoErr := s.Info(ctx, k)
	_, listErr := s.Sessions(ctx, memory.Query{Tenant: k.Tenant, Limit: 1})
	return map[string]error{
		"find": findErr, "lease": leaseErr, "info": infoErr, "sessions": listErr, "delete at": s.DeleteAt(ctx, k, 1),
		"compact": s.Compact(ctx, k, memory.Revision{}, nil), "import": s.Import(ctx, k, &memory.Snapshot{}),
	}
}

func badKeysOfAll(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	for _, half := range []string{"", "a b", "a\x00", "é", "\xff", strings.Repeat("x", memory.MaxKeyLength+1)} {
		for method, err := range each(ctx, s, memory.Key{Tenant: half, Session: "s"}) {
			if !errors.Is(err, memory.ErrKey) {
				t.Errorf("%s of tenant %.40q: %v, want ErrKey", method, half, err)
			}
		}
		for method, err := range each(ctx, s, memory.Key{Tenant: "t", Session: half}) {
			if method != "sessions" && !errors.Is(err, memory.ErrKey) {
				t.Errorf("%s of session %.40q: %v, want ErrKey", method, half, err)
			}
		}
	}
}

func cancelledAll(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	fill(ctx, t, s, key, 1)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for method, err := range each(gone, s, key) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", method, err)
		}
	}
	wantLive(ctx, t, s, key, "1")
	wantLease(ctx, t, b.open(t, Options{}), "b", time.Hour, true)
}
