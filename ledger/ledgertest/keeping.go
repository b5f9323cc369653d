package ledgertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
)

func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func whole(t *testing.T, b Backend) {
	ctx, r := deadline(t), random(t)
	s := b.open(t)
	all := entries(r, 0, 50)
	for i := range all {
		all[i].ID = fmt.Sprint("call-", i)
	}
	add(ctx, t, s, all...)
	add(ctx, t, s)
	for _, e := range all {
		got, err := s.Call(ctx, everybody, e.ID)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], e) {
			t.Fatalf("%s is\n%+v, %v, was\n%+v", e.ID, got, err, e)
		}
	}
}

func once(t *testing.T, b Backend) {
	ctx, r := deadline(t), random(t)
	s := b.open(t)
	all := entries(r, 0, 300)
	for i := range all {
		all[i].ID = "one"
	}
	add(ctx, t, s, all[:200]...)
	add(ctx, t, s, all...)
	add(ctx, t, s, append(all[250:], all[:50]...)...)
	if err := s.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	m := model{calls: all}
	q := ledger.Query{Scope: everybody, GroupBy: []ledger.Dimension{ledger.BySession, ledger.ByModel}}
	if got, want := usage(ctx, t, s, q), m.usage(q); !reflect.DeepEqual(got, want) {
		t.Fatalf("the sums are\n%+v, want\n%+v", got, want)
	}
	if got, err := s.Call(ctx, ledger.Scope{Tenant: "a"}, "one"); err != nil || len(got) != min(len(m.call(ledger.Scope{Tenant: "a"}, "one")), ledger.MaxCalls) {
		t.Fatalf("%d calls, %v", len(got), err)
	}
}

func anonymous(t *testing.T, b Backend) {
	ctx := deadline(t)
	s := b.open(t)
	all := entries(random(t), 0, 2)
	all[1].UID = ledger.UID{}
	if err := s.Append(ctx, all); !errors.Is(err, ledger.ErrEntry) {
		t.Fatalf("append: %v", err)
	}
	if got := usage(ctx, t, s, ledger.Query{Scope: everybody}); got.Total.Calls != 0 {
		t.Fatalf("%d calls of a bad batch are kept", got.Total.Calls)
	}
}

func newest(t *testing.T, b Backend) {
	ctx, r := deadline(t), random(t)
	s := b.open(t)
	all := entries(r, 0, ledger.MaxCalls+20)
	for i := range all {
		all[i].ID, all[i].Tenant, all[i].Time = "same", "a", start.Add(time.Duration(i)*17*time.Minute)
	}
	for some := range slices.Chunk(all, 33) {
		add(ctx, t, s, some...)
	}
	for _, of := range []ledger.Scope{{Tenant: "a"}, everybody} {
		got, err := s.Call(ctx, of, "same")
		if err != nil || len(got) != ledger.MaxCalls {
			t.Fatalf("%d calls, %v", len(got), err)
		}
		for i, e := range got {
			if want := all[len(all)-1-i]; e.UID != want.UID {
				t.Fatalf("call %d is of %v, want %v", i, e.Time, want.Time)
			}
		}
	}
	if got, err := s.Call(ctx, everybody, "none"); err != nil || len(got) != 0 {
		t.Fatalf("%d calls, %v", len(got), err)
	}
}

func apart(t *testing.T, b Backend) {
	ctx, r := deadline(t), random(t)
	s := b.open(t)
	all := entries(r, 0, 400)
	add(ctx, t, s, all...)
	m := model{calls: all}
	for _, of := range []ledger.Scope{{Tenant: "a"}, {Tenant: "b"}, {Tenant: "c"}, {Tenant: "d"}, everybody} {
		for i := range 50 {
			id := fmt.Sprint("id", i)
			got, err := s.Call(ctx, of, id)
			slices.SortFunc(got, byUID)
			if want := m.call(of, id); err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v has %d calls %s, want %d (%v)", of, len(got), id, len(want), err)
			}
		}
	}
	for _, bad := range []ledger.Scope{{}, {Tenant: "a", AllTenants: true}} {
		if _, err := s.Call(ctx, bad, "id1"); !errors.Is(err, ledger.ErrQuery) {
			t.Errorf("%+v: %v", bad, err)
		}
		if _, err := s.Usage(ctx, ledger.Query{Scope: bad}); !errors.Is(err, ledger.ErrQuery) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func hostile(t *testing.T, b Backend) {
	ctx := deadline(t)
	s := b.open(t)
	for i, text := range []string{"", "nul\x00", "\xff\xfe", "a\nb", strings.Repeat("ü", 300), "'; DROP TABLE calls; --", "日本", "{tag}", `"`, "=1+1", "\u202e"} {
		e := Entry(random(t), uint64(i))
		e.ID, e.Tenant, e.Session, e.ModelAsked, e.ModelUsed, e.Upstream, e.Key = "id "+text, "t"+text, text, text, text, text, text
		e.Attempts = []ledger.Attempt{{Outcome: text}}
		e.Bound()
		add(ctx, t, s, e)
		of := ledger.Scope{Tenant: e.Tenant}
		if got, err := s.Call(ctx, of, "id "+text); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], e) {
			t.Errorf("%q: call %+v, %v", text, got, err)
		}
		q := ledger.Query{Scope: of, Model: text, Session: text, Upstream: text, Key: text, GroupBy: []ledger.Dimension{ledger.ByModel, ledger.BySession}}
		m := model{calls: []ledger.Entry{e}}
		if got, want := usage(ctx, t, s, q), m.usage(q); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: sums %+v, want %+v", text, got, want)
		}
		if err := s.Forget(ctx, e.Tenant, e.Session); err != nil {
			t.Errorf("%q: forget: %v", text, err)
		}
	}
}
