package ledgertest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"mnemo/ledger"
)

// exact compares a store with the model, query by query, while it is written, rolled up
// and made to forget.
func exact(t *testing.T, b Backend) {
	ctx, r := deadline(t), random(t)
	s, m := b.open(t), &model{}
	check := func(queries int) {
		t.Helper()
		for range queries {
			q := query(r)
			if got, want := usage(ctx, t, s, q), m.usage(q); !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v\nis %+v\nwant %+v", q, got, want)
			}
			spent, err := ledger.Spent(ctx, s, q)
			if want := m.usage(q).Total; err != nil || spent != want {
				t.Fatalf("%+v: spent is %+v, want %+v (%v)", q, spent, want, err)
			}
		}
	}
	for round := range 5 {
		more := entries(r, uint64(round)*1000, 200)
		for some := range slices.Chunk(more, 1+r.IntN(100)) {
			add(ctx, t, s, some...)
		}
		m.calls = append(m.calls, more...)
		check(25)
		before := start.Add(time.Duration(round-1)*24*time.Hour + time.Duration(r.Int64N(int64(time.Hour))))
		if err := s.Roll(ctx, before); err != nil {
			t.Fatal(err)
		}
		m.roll(before)
		check(25)
		tenant, session := []string{"a", "b"}[r.IntN(2)], []string{"s1", "s2"}[r.IntN(2)]
		if err := s.Forget(ctx, tenant, session); err != nil {
			t.Fatal(err)
		}
		m.forget(tenant, session)
		check(10)
	}
	for _, id := range []string{"id1", "id2", "id3"} {
		got, err := s.Call(ctx, everybody, id)
		slices.SortFunc(got, byUID)
		if want := m.call(everybody, id); err != nil || !slices.EqualFunc(got, want, func(a, b ledger.Entry) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("%d calls %s, want %d (%v)", len(got), id, len(want), err)
		}
	}
}

func empty(t *testing.T, b Backend) {
	ctx := deadline(t)
	s := b.open(t)
	for _, q := range []ledger.Query{{Scope: everybody}, {Scope: ledger.Scope{Tenant: "a"}, GroupBy: []ledger.Dimension{ledger.ByDay, ledger.BySession}, Session: "s"}} {
		if got := usage(ctx, t, s, q); len(got.Rows) != 0 || got.Groups != 0 || got.Total != (ledger.Sums{}) {
			t.Errorf("%+v is %+v", q, got)
		}
	}
	if err := s.Roll(ctx, time.Now()); err != nil {
		t.Error(err)
	}
	if err := s.Forget(ctx, "a", "s"); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, b Backend) {
	ctx := deadline(t)
	s := b.open(t)
	for _, q := range []ledger.Query{
		{}, {Scope: ledger.Scope{Tenant: "a", AllTenants: true}},
		{Scope: everybody, GroupBy: []ledger.Dimension{"colour"}},
		{Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByModel, ledger.ByModel}},
		{Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByHour, ledger.ByDay}},
		{Scope: everybody, Limit: -1}, {Scope: everybody, Limit: ledger.MaxRows + 1},
	} {
		if _, err := s.Usage(ctx, q); !errors.Is(err, ledger.ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func forgotten(t *testing.T, b Backend) {
	ctx, r := deadline(t), random(t)
	s, m := b.open(t), &model{calls: entries(r, 0, 500)}
	add(ctx, t, s, m.calls...)
	for range 2 {
		if err := s.Forget(ctx, "a", "s1"); err != nil {
			t.Fatal(err)
		}
		m.forget("a", "s1")
		for _, q := range []ledger.Query{
			{Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByTenant, ledger.BySession}},
			{Scope: ledger.Scope{Tenant: "a"}, Session: "s1"}, {Scope: ledger.Scope{Tenant: "b"}, Session: "s1"},
		} {
			if got, want := usage(ctx, t, s, q), m.usage(q); !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v\nis %+v\nwant %+v", q, got, want)
			}
		}
	}
	for _, e := range m.calls[:50] {
		got, err := s.Call(ctx, everybody, e.ID)
		if err != nil || !slices.ContainsFunc(got, func(g ledger.Entry) bool { return reflect.DeepEqual(g, e) }) {
			t.Fatalf("%+v is not among %+v, %v", e, got, err)
		}
	}
}

// concurrent appends, from several stores, some batches twice, while days are rolled up
// and sums are read.
func concurrent(t *testing.T, b Backend) {
	const writers, batches, size = 4, 15, 20
	ctx := deadline(t)
	looking := b.open(t)
	m := &model{}
	var all [writers][]ledger.Entry
	for w := range all {
		all[w] = entries(random(t), uint64(w)<<32, batches*size)
		m.calls = append(m.calls, all[w]...)
	}
	var writing, others sync.WaitGroup
	done := make(chan struct{})
	for w := range all {
		s := b.open(t)
		writing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for batch := range slices.Chunk(all[w], size) {
				for range 1 + r.IntN(2) {
					if err := s.Append(ctx, batch); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	end := start.Add(span)
	others.Go(func() { // twice the same batch, with its days rolled up between, would count twice: nobody rolls up days that young
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := looking.Roll(ctx, start.Add(-24*time.Hour)); err != nil {
				t.Error(err)
			}
			r, err := looking.Usage(ctx, ledger.Query{Scope: everybody, GroupBy: []ledger.Dimension{ledger.BySession}})
			var sum ledger.Sums
			for i := range r.Rows {
				sum.Add(&r.Rows[i].Sums)
			}
			if err != nil || sum != r.Total {
				t.Errorf("the rows make %+v, the total is %+v (%v)", sum, r.Total, err)
			}
		}
	})
	writing.Wait()
	close(done)
	others.Wait()
	q := ledger.Query{Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByDay, ledger.ByModel}}
	want := m.usage(q)
	if got := usage(ctx, t, looking, q); !reflect.DeepEqual(got, want) {
		t.Fatalf("is %+v\nwant %+v", got, want)
	}
	rolling(t, b, looking, q, want, end)
}

// rolling rolls up from many stores at once while sums are read, which never change.
func rolling(t *testing.T, b Backend, looking ledger.Store, q ledger.Query, want ledger.Report, end time.Time) {
	t.Helper()
	ctx := deadline(t)
	var wg sync.WaitGroup
	for range 3 {
		s := b.open(t)
		wg.Go(func() {
			if err := s.Roll(ctx, end); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	for rolled := false; !rolled; {
		select {
		case <-done:
			rolled = true
		default:
		}
		if got := usage(ctx, t, looking, q); !reflect.DeepEqual(got, want) {
			t.Fatalf("while it is rolled up: is %+v\nwant %+v", got, want)
		}
	}
}

func closed(t *testing.T, b Backend) {
	ctx := deadline(t)
	s := b.Open(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, usageErr := s.Usage(ctx, ledger.Query{Scope: everybody})
	_, callErr := s.Call(ctx, everybody, "x")
	for _, err := range []error{
		s.Append(ctx, entries(random(t), 0, 1)), s.Forget(ctx, "a", "s"), s.Roll(ctx, time.Now()), s.Ping(ctx), usageErr, callErr,
	} {
		if err == nil {
			t.Error("a closed ledger is used")
		}
	}
}
