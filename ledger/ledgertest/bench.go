package ledgertest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mnemo/ledger"
)

// BenchmarkAppend measures batches as a Writer makes them, in entries a second.
func BenchmarkAppend(b *testing.B, s ledger.Store) {
	batch := make([]ledger.Entry, ledger.DefaultBatch)
	r := rand.New(rand.NewPCG(1, 1))
	for n := uint64(0); b.Loop(); n++ {
		b.StopTimer()
		week(r, batch, n)
		b.StartTimer()
		if err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkUsage measures queries of 100,000 calls of seven days, a tenth of them of each
// tenant, and rolling all of them up.
func BenchmarkUsage(b *testing.B, s ledger.Store) {
	batch := make([]ledger.Entry, 1000)
	r := rand.New(rand.NewPCG(1, 1))
	for n := range uint64(100) {
		week(r, batch, n)
		if err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	one := ledger.Scope{Tenant: "tenant-1"}
	for name, q := range map[string]ledger.Query{
		"all by model":     {Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByModel}},
		"all by hour":      {Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByHour}, ByTime: true},
		"all by session":   {Scope: everybody, GroupBy: []ledger.Dimension{ledger.ByTenant, ledger.BySession}},
		"tenant by day":    {Scope: one, GroupBy: []ledger.Dimension{ledger.ByDay}, ByTime: true},
		"tenant's session": {Scope: one, Session: "session-3"},
		"tenant's hour":    {Scope: one, From: start.Add(61 * time.Minute), To: start.Add(119 * time.Minute)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if r, err := s.Usage(b.Context(), q); err != nil || r.Total.Calls == 0 {
					b.Fatal(r.Total.Calls, err)
				}
			}
		})
	}
	for name, of := range map[string]ledger.Scope{"tenant": one, "all": everybody} {
		b.Run("call of "+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Call(b.Context(), of, "id7"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("forget", func(b *testing.B) {
		for b.Loop() {
			if err := s.Forget(b.Context(), one.Tenant, "session-4"); err != nil {
				b.Fatal(err)
			}
		}
	})
	began := time.Now()
	if err := s.Roll(b.Context(), start.Add(8*24*time.Hour)); err != nil {
		b.Fatal(err)
	}
	b.Logf("rolled up in %v", time.Since(began))
}

// week makes calls of seven days, of a thousand sessions, three models and two keys for each
// of ten tenants. The
// n-th batch has UIDs of its own.
func week(r *rand.Rand, batch []ledger.Entry, n uint64) {
	for i := range batch {
		e := Entry(r, n<<32+uint64(i))
		e.Time = start.Add(time.Duration(r.Int64N(int64(7 * 24 * time.Hour))))
		e.Tenant, e.Session = fmt.Sprint("tenant-", r.IntN(10)), fmt.Sprint("session-", r.IntN(1000))
		e.ID = fmt.Sprint("id", r.IntN(1_000_000))
		e.ModelUsed, e.Upstream, e.Key = e.ModelAsked, "openai", fmt.Sprint("key-", r.IntN(2))
		e.Usage = ledger.Usage{Input: r.Int64N(8000), CachedInput: r.Int64N(2000), Output: r.Int64N(1000)}
		e.Cost, e.FullCost, e.FullCostCached = r.Int64N(1e8), r.Int64N(1e9), r.Int64N(1e9)
		binary.BigEndian.PutUint64(e.UID[:8], 1)
		e.Bound()
		batch[i] = e
	}
}
