package budget

import (
	"context"
	"testing"
	"time"
)

// What a call costs with three rules about it.
func BenchmarkReserve_and_settle_3_rules(b *testing.B) {
	budgets := newBudgets(b, Options{Now: time.Now, Rules: []Rule{
		{Name: "all", Scope: Global, Limit: Limit{MaxAmount, USD}, Per: Month, Action: Block, WarnAt: 0.8},
		{Name: "tenant", Scope: Tenant, Match: "team-*", Limit: Limit{MaxAmount, USD}, Per: Day, Action: Block},
		{Name: "session", Scope: Session, Limit: Limit{MaxAmount, Tokens}, Per: Hour, Action: Degrade},
	}})
	c := Call{Tenant: "team-a", Session: "a session of someone", Model: "gpt-4o", Estimate: Amount{1000, 100}}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		r, _ := budgets.Reserve(ctx, c)
		r.Settle(Amount{900, 90})
	}
}

// What it costs if none of three is about it.
func BenchmarkReserve_and_settle_no_rule(b *testing.B) {
	budgets := newBudgets(b, Options{Now: time.Now, Rules: []Rule{
		{Name: "tenant", Scope: Tenant, Match: "team-*", Limit: dollars(1), Per: Day, Action: Block},
		{Name: "session", Scope: Session, Tenant: "free-*", Limit: dollars(1), Per: Hour, Action: Degrade},
		{Name: "model", Scope: Model, Match: "o1*", Limit: dollars(1), Per: Month, Action: Degrade},
	}})
	c := Call{Tenant: "a", Session: "s", Model: "gpt-4o", Estimate: Amount{1000, 100}}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		r, _ := budgets.Reserve(ctx, c)
		r.Settle(Amount{900, 90})
	}
}
