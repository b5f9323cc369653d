package redisledger

import (
	"math/rand/v2"
	"testing"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
)

func TestRow_is_read_as_it_was_written(t *testing.T) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for range 1000 {
		e := ledgertest.Entry(r, 1)
		want := ledger.Group{Time: e.Time, Operation: e.Operation, Model: e.Model(), Upstream: e.Upstream, Key: e.Key}
		g, sums, err := decodeRow(encodeRow(&e))
		if err != nil || g != want || sums != ledger.SumsOf(&e) {
			t.Fatalf("%+v is %+v, %+v, %v", e, g, sums, err)
		}
		sums = ledger.Sums{}
		for _, c := range countersOf(&e) {
			column, g, err := decodeCounter(c.field)
			if g.Time = e.Time; err != nil || g != want {
				t.Fatalf("%q is of %+v, %v", c.field, g, err)
			}
			*sums.Values()[column] = c.value
		}
		if sums != ledger.SumsOf(&e) {
			t.Fatalf("the counters are %+v", sums)
		}
	}
}

func FuzzDecode(f *testing.F) {
	e := ledgertest.Entry(rand.New(rand.NewPCG(1, 1)), 1)
	f.Add(encodeRow(&e))
	f.Add(countersOf(&e)[0].field)
	f.Fuzz(func(t *testing.T, text string) {
		if g, _, err := decodeRow(text); err == nil && len(g.Model) > len(text) {
			t.Errorf("%q has the model %q", text, g.Model)
		}
		if column, g, err := decodeCounter(text); err == nil && (column > 127 || len(g.Key) > len(text)) {
			t.Errorf("%q is column %d of %+v", text, column, g)
		}
	})
}
