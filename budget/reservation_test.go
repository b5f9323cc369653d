package budget

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestReserve_admits_while_something_is_left(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block}}})
	first, v := b.Reserve(t.Context(), call("a", 60*cent))
	if first == nil || v != (Verdict{}) {
		t.Fatalf("the first call: %v, %+v", first, v)
	}
	second, v := b.Reserve(t.Context(), call("a", 60*cent))
	if second == nil || v.Action != Allow {
		t.Fatalf("0.60 of 1.00 are reserved: %+v", v)
	}
	third, v := b.Reserve(t.Context(), call("a", cent))
	want := Verdict{
		Action: Block, Rule: "day", Subject: Subject{Tenant: "a"}, Reserved: 120 * cent, Limit: dollars(1), Per: Day,
		Resets: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	if third != nil || v != want {
		t.Fatalf("1.20 of 1.00 are reserved: %v, %+v", third, v)
	}
	if !spend(b, call("b", cent)) {
		t.Error("another tenant is blocked")
	}
	second.Settle(Amount{})
	second.Settle(Amount{NanoDollars: 90 * cent})
	first.Settle(Amount{NanoDollars: 99 * cent})
	if !spend(b, call("a", cent)) {
		t.Error("0.99 of 1.00 are spent and the call is blocked")
	}
	if spend(b, call("a", cent)) {
		t.Error("all is spent and the call is admitted")
	}
}

func TestReserve_says_nothing_of_calls_that_no_rule_is_about(t *testing.T) {
	rules := []Rule{
		{Name: "tenant", Scope: Tenant, Match: "team-*", Limit: dollars(1), Per: Day, Action: Block},
		{Name: "session", Scope: Session, Tenant: "free", Limit: dollars(1), Per: Day, Action: Block},
		{Name: "model", Scope: Model, Match: "o1*", Limit: dollars(1), Per: Day, Action: Block},
	}
	b := newBudgets(t, Options{Rules: rules})
	for _, c := range []Call{call("a", cent), {Tenant: "free"}, {Tenant: "free", Model: "gpt"}, {}} {
		if r, v := b.Reserve(t.Context(), c); r != nil || v != (Verdict{}) {
			t.Errorf("%+v: %v, %+v", c, r, v)
		}
	}
	for _, c := range []Call{{Tenant: "team-1"}, {Tenant: "free", Session: "s"}, {Tenant: "x", Model: "o1-mini"}} {
		r, _ := b.Reserve(t.Context(), c)
		if r == nil {
			t.Errorf("%+v is in no budget", c)
		}
		r.Settle(Amount{})
	}
}

func TestReserve_gives_each_subject_a_sum_of_its_own(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{
		{Name: "session", Scope: Session, Limit: dollars(1), Per: Day, Action: Block},
		{Name: "model", Scope: Model, Limit: dollars(10), Per: Day, Action: Block},
	}})
	pay := func(tenant, session, model string, nanos int64) bool {
		return spend(b, Call{Tenant: tenant, Session: session, Model: model, Estimate: Amount{NanoDollars: nanos}})
	}
	pay("a", "b/c", "m", 100*cent)
	if !pay("a/b", "c", "m", 100*cent) || !pay("a", "b/c/", "m", cent) {
		t.Error("sessions of other names share a sum")
	}
	if pay("a", "b/c", "n", cent) {
		t.Error("a session has a sum for each model")
	}
	pay("x", "y", "m", 1000*cent)
	if pay("z", "", "m", cent) {
		t.Error("a model has a sum for each tenant")
	}
	if !pay("z", "", "n", cent) {
		t.Error("models share a sum")
	}
}

func TestReserve_tells_the_most_severe_rule(t *testing.T) {
	rules := []Rule{
		{Name: "warn", Scope: Tenant, Limit: dollars(1), Per: Month, Action: Warn},
		{Name: "hour", Scope: Global, Limit: dollars(2), Per: Hour, Action: Degrade},
		{Name: "day", Scope: Tenant, Limit: dollars(2), Per: Day, Action: Degrade},
		{Name: "block", Scope: Tenant, Limit: dollars(3), Per: Hour, Action: Block},
		{Name: "later", Scope: Tenant, Limit: dollars(4), Per: Month, Action: Block},
	}
	b := newBudgets(t, Options{Rules: rules})
	for _, want := range []string{"", "warn", "day", "block", "block"} {
		r, v := b.Reserve(t.Context(), call("a", 100*cent))
		if v.Rule != want || (r == nil) != (v.Action == Block) {
			t.Errorf("want %q: %v, %+v", want, r, v)
		}
		r.Settle(Amount{NanoDollars: 100 * cent})
	}
	r, _ := b.Reserve(t.Context(), Call{Tenant: "b", Estimate: Amount{NanoDollars: 100 * cent}})
	r.Settle(Amount{NanoDollars: 400 * cent})
	if _, v := b.Reserve(t.Context(), call("b", 0)); v.Rule != "later" {
		t.Errorf("of two that block, told is %q, not the one that resets last", v.Rule)
	}
}

func TestReserve_counts_tokens_too(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{{Name: "t", Scope: Global, Limit: Limit{1000, Tokens}, Per: Hour, Action: Block}}})
	r, _ := b.Reserve(t.Context(), Call{Estimate: Amount{NanoDollars: MaxAmount, Tokens: 999}})
	if !spend(b, Call{Estimate: Amount{Tokens: 1}}) {
		t.Error("999 of 1000 tokens and the call is blocked")
	}
	r.Settle(Amount{Tokens: 999})
	if spend(b, Call{}) {
		t.Error("1000 of 1000 tokens and the call is admitted")
	}
}

func TestReserve_bounds_senseless_amounts(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{{Name: "all", Scope: Global, Limit: Limit{MaxAmount, Tokens}, Per: Hour, Action: Block}}})
	most := int64(1<<63 - 1)
	for range 2000 {
		r, _ := b.Reserve(t.Context(), Call{Estimate: Amount{Tokens: most}})
		r.Settle(Amount{Tokens: most})
	}
	if s := b.Status(Query{}); s[0].Spent != MaxAmount || s[0].Reserved != 0 {
		t.Errorf("%+v", s)
	}
	b = newBudgets(t, Options{Rules: []Rule{{Name: "all", Scope: Global, Limit: Limit{1, Tokens}, Per: Hour, Action: Block}}})
	r, _ := b.Reserve(t.Context(), Call{Estimate: Amount{Tokens: -most}})
	r.Settle(Amount{Tokens: -1})
	if s := b.Status(Query{}); s[0].Spent != 0 || s[0].Reserved != 0 {
		t.Errorf("%+v", s)
	}
}

func TestReserve_never_lets_concurrent_calls_pass_the_limit_by_more_than_one(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{{Name: "all", Scope: Global, Limit: dollars(1), Per: Day, Action: Block}}})
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if spend(b, call("a", 3*cent)) {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 34 {
		t.Errorf("%d calls of 0.03 were admitted to a budget of 1.00, want 34", n)
	}
	if s := b.Status(Query{})[0]; s.Spent != 102*cent || s.Reserved != 0 {
		t.Errorf("%+v", s)
	}
}

func TestSettle_counts_in_the_window_in_which_the_call_began(t *testing.T) {
	c := newClock(time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC))
	b := newBudgets(t, Options{Now: c.now, Rules: []Rule{{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block}}})
	r, _ := b.Reserve(t.Context(), call("a", 100*cent))
	c.set(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	next, v := b.Reserve(t.Context(), call("a", 50*cent))
	if v.Action != Allow {
		t.Fatalf("yesterday's call counts today: %+v", v)
	}
	r.Settle(Amount{NanoDollars: 100 * cent})
	next.Settle(Amount{NanoDollars: 50 * cent})
	if s := b.Status(Query{}); len(s) != 1 || s[0].Spent != 50*cent || s[0].From.Day() != 22 {
		t.Errorf("%+v", s)
	}
}
