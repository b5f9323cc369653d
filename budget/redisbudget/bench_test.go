package redisbudget_test

import (
	"testing"

	"mnemo/budget"
	"mnemo/memory/storetest/redisserver"
)

func threeRules() []budget.Rule {
	most := budget.Limit{Amount: budget.MaxAmount, Unit: budget.USD}
	return []budget.Rule{
		{Name: "all", Scope: budget.Global, Limit: most, Per: budget.Month, Action: budget.Block},
		{Name: "tenant", Scope: budget.Tenant, Limit: most, Per: budget.Day, Action: budget.Block},
		{Name: "session", Scope: budget.Session, Limit: most, Per: budget.Hour, Action: budget.Block},
	}
}

// What a call waits for Redis on this machine, with three rules about it.
func BenchmarkReserve_and_settle_over_redis(b *testing.B) {
	r := replica(b, budget.Options{Rules: threeRules()}, redisserver.Start(b, "--appendonly", "no").Addr)
	b.ReportAllocs()
	for b.Loop() {
		reservation, _ := r.Reserve(b.Context(), call(cent))
		reservation.Settle(budget.Amount{NanoDollars: cent})
	}
}

// The same of 64 calls at a time, which share round trips.
func BenchmarkReserve_and_settle_over_redis_64_at_a_time(b *testing.B) {
	r := replica(b, budget.Options{Rules: threeRules()}, redisserver.Start(b, "--appendonly", "no").Addr)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			reservation, _ := r.Reserve(b.Context(), call(cent))
			reservation.Settle(budget.Amount{NanoDollars: cent})
		}
	})
}
