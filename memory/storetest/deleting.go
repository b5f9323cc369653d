package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory"
)

func deleteForgets(t *testing.T, b Backend) {
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	beside := memory.Key{Tenant: key.Tenant, Session: key.Session + "2"}
	for life := range 3 {
		names := make([]string, 5)
		for i := range names {
			names[i] = fmt.Sprintf("%d of life %d", i, life)
			tn := exchange(names[i])
			tn.System = fmt.Sprintf(`[{"role":"system","content":"life %d"}]`, life)
			if seq, err := s.Append(ctx, key, tn); err != nil || seq != int64(i+1) {
				t.Fatalf("append: seq %d, %v", seq, err)
			}
			for _, h := range []memory.Store{s, other} {
				wantNames(t, loadNames(ctx, t, h, key), names[:i+1]...)
			}
		}
		if _, err := other.Append(ctx, beside, exchange(fmt.Sprint(life))); err != nil {
			t.Fatal(err)
		}
		if err := other.Delete(ctx, key); err != nil {
			t.Fatalf("delete: %v", err)
		}
		if life == 1 {
			continue // the next life begins before anybody saw that there was none
		}
		for _, h := range []memory.Store{s, other, b.open(t, Options{})} {
			got := load(ctx, t, h, key, everything)
			if got.Seq != 0 || len(got.Turns) != 0 || got.System != "" || got.Totals != (memory.Totals{}) {
				t.Fatalf("a deleted session has %+v", got)
			}
			if turns, err := h.Turns(ctx, key, 0, 10); err != nil || len(turns) != 0 {
				t.Fatalf("a deleted session has turns %v, %v", turns, err)
			}
		}
	}
	wantNames(t, loadNames(ctx, t, s, beside), "0", "1", "2")
}

func deleteRaces(t *testing.T, b Backend) {
	ctx := deadline(t)
	handles := []memory.Store{b.open(t, Options{}), b.open(t, Options{})}
	var wg sync.WaitGroup
	for i := range 8 {
		h := handles[i%2]
		wg.Go(func() {
			for turn := range 20 {
				if i == 0 && turn%4 == 3 {
					if err := h.Delete(ctx, key); err != nil {
						t.Errorf("delete: %v", err)
					}
				}
				seq, err := h.Append(ctx, key, exchange(fmt.Sprintf("%d of %d", turn, i)))
				if err != nil || seq < 1 {
					t.Errorf("append: seq %d, %v", seq, err)
				}
				got, err := h.Load(ctx, key, everything)
				if _, whole := namesOf(got); err != nil || whole != nil {
					t.Errorf("load: %v, %v", err, whole)
				}
			}
		})
	}
	wg.Wait()
	a, z := loadNames(ctx, t, handles[0], key), loadNames(ctx, t, handles[1], key)
	wantNames(t, a, z...)
	wantNames(t, loadNames(ctx, t, b.open(t, Options{}), key), z...)
}

func keysApart(t *testing.T, b Backend) {
	long := strings.Repeat("x", memory.MaxKeyLength)
	keys := []memory.Key{
		{Tenant: "a", Session: "s"}, {Tenant: "b", Session: "s"}, {Tenant: "A", Session: "s"}, {Tenant: "s", Session: "a"},
		{Tenant: "a:b", Session: "c"}, {Tenant: "a", Session: "b:c"}, {Tenant: "a:b:c", Session: ":"}, {Tenant: "ab", Session: "c"}, {Tenant: "a", Session: "bc"},
		{Tenant: "t", Session: "*"}, {Tenant: "t", Session: "%"}, {Tenant: "t", Session: "_"}, {Tenant: "t", Session: "?"}, {Tenant: "t", Session: "[a-z]"},
		{Tenant: "t", Session: "'; DROP TABLE turns; --"}, {Tenant: "t", Session: `"`}, {Tenant: "t", Session: "';DROP/**/TABLE/**/turns;--"},
		{Tenant: "t", Session: "{}"}, {Tenant: "{}", Session: "t"}, {Tenant: "{t}", Session: "{t}"}, {Tenant: "{", Session: "}"}, {Tenant: "t", Session: "{a}b"},
		{Tenant: "t", Session: `\`}, {Tenant: "t", Session: `a\:b`}, {Tenant: `t\`, Session: "x"}, {Tenant: "t", Session: `\x`},
		{Tenant: "t", Session: "../../etc"}, {Tenant: "t", Session: "$1"}, {Tenant: "t", Session: "?1"}, {Tenant: "t", Session: "%s"}, {Tenant: "t", Session: "%00"},
		{Tenant: "1", Session: "1"}, {Tenant: "01", Session: "1"}, {Tenant: "1", Session: "01"}, {Tenant: "1", Session: "1.0"}, {Tenant: "1:1", Session: "1"},
		{Tenant: "t", Session: long}, {Tenant: long, Session: "t"}, {Tenant: long, Session: long}, {Tenant: "t", Session: long[1:]},
	}
	ctx, s, other := deadline(t), b.open(t, Options{}), b.open(t, Options{})
	good := 0
	for i, k := range keys {
		seq, err := s.Append(ctx, k, exchange(fmt.Sprint(i)))
		if k.Check() != nil {
			if !errors.Is(err, memory.ErrKey) {
				t.Errorf("%q: %v, want ErrKey", k, err)
			}
			continue
		}
		good++
		if err != nil || seq != 1 {
			t.Errorf("%q is not apart: seq %d, %v", k, seq, err)
		}
	}
	if good < 30 {
		t.Fatalf("only %d of the keys are good", good)
	}
	for i, k := range keys {
		if k.Check() == nil {
			wantNames(t, loadNames(ctx, t, other, k), fmt.Sprint(i))
		}
	}
	for i, k := range keys {
		if k.Check() != nil {
			continue
		}
		if err := other.Delete(ctx, k); err != nil {
			t.Fatalf("delete %q: %v", k, err)
		}
		wantNames(t, loadNames(ctx, t, s, k))
		for j := i + 1; j < len(keys); j++ {
			if keys[j].Check() == nil {
				wantNames(t, loadNames(ctx, t, s, keys[j]), fmt.Sprint(j))
			}
		}
	}
}

func badKeys(t *testing.T, b Backend) {
	ctx, s := deadline(t), b.open(t, Options{})
	for _, half := range []string{"", " ", "a b", "a\x00", "\x00", "a\n", "\r\n", "\t", "é", "\xff", "a\x7f", strings.Repeat("x", memory.MaxKeyLength+1), strings.Repeat("x", 1<<20)} {
		for _, k := range []memory.Key{{Tenant: half, Session: "s"}, {Tenant: "t", Session: half}, {Tenant: half, Session: half}} {
			_, loadErr := s.Load(ctx, k, everything)
			_, appendErr := s.Append(ctx, k, exchange("x"))
			_, turnsErr := s.Turns(ctx, k, 0, 1)
			for method, err := range map[string]error{"load": loadErr, "append": appendErr, "turns": turnsErr, "delete": s.Delete(ctx, k)} {
				if !errors.Is(err, memory.ErrKey) {
					t.Errorf("%s with %.40q: %v, want ErrKey", method, k, err)
				}
			}
		}
	}
}

func expiry(t *testing.T, b Backend) {
	if b.Advance == nil {
		t.Skip("time cannot be advanced here")
	}
	const ttl = time.Hour
	ctx := context.Background()
	s, other := b.open(t, Options{TTL: ttl}), b.open(t, Options{TTL: ttl})
	fill(ctx, t, s, key, 3)
	b.Advance(ttl - time.Second)
	wantNames(t, loadNames(ctx, t, other, key), "1", "2", "3")
	if seq, err := s.Append(ctx, key, exchange("4")); err != nil || seq != 4 {
		t.Fatalf("append refreshes: seq %d, %v", seq, err)
	}
	b.Advance(ttl - time.Second)
	wantNames(t, loadNames(ctx, t, other, key), "1", "2", "3", "4")
	b.Advance(2 * time.Second)
	for _, h := range []memory.Store{s, other} {
		wantNames(t, loadNames(ctx, t, h, key))
		if turns, err := h.Turns(ctx, key, 0, 10); err != nil || len(turns) != 0 {
			t.Fatalf("an expired session has turns %v, %v", turns, err)
		}
	}
	if seq, err := other.Append(ctx, key, exchange("new")); err != nil || seq != 1 {
		t.Fatalf("append after expiry: seq %d, %v", seq, err)
	}
	for _, h := range []memory.Store{s, other} {
		wantNames(t, loadNames(ctx, t, h, key), "new")
	}
}
