package budget

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const cent = nanoPerDollar / 100

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A clock stands still until it is moved.
type clock struct{ nanos atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.set(t)
	return c
}

func (c *clock) set(t time.Time) { c.nanos.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.nanos.Load()) }

func newBudgets(t testing.TB, opts Options) *Budgets {
	t.Helper()
	if opts.Now == nil {
		opts.Now = newClock(noon).now
	}
	b, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func call(tenant string, nanos int64) Call {
	return Call{Tenant: tenant, Session: "s", Model: "gpt-4o", Estimate: Amount{NanoDollars: nanos, Tokens: nanos / 1000}}
}

// spend makes a whole call and says whether it was admitted.
func spend(b *Budgets, c Call) bool {
	r, v := b.Reserve(context.Background(), c)
	r.Settle(c.Estimate)
	return v.Action != Block
}

func TestReload_keeps_the_sums_of_rules_that_stay(t *testing.T) {
	day := Rule{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Warn}
	hour := Rule{Name: "hour", Scope: Tenant, Limit: dollars(1), Per: Hour, Action: Block}
	b := newBudgets(t, Options{Rules: []Rule{day, hour}})
	open, _ := b.Reserve(t.Context(), call("a", 100*cent))
	spend(b, call("b", 100*cent))
	day.Name, day.Limit, day.Action, day.WarnAt = "renamed", dollars(2), Block, 0.5
	if err := b.Reload([]Rule{day}); err != nil {
		t.Fatal(err)
	}
	if !spend(b, call("b", 100*cent)) || spend(b, call("b", cent)) {
		t.Error("1.00 of 2.00 were spent before the change, which is forgotten")
	}
	if err := b.Reload([]Rule{{Name: "bad"}}); err == nil {
		t.Error("a rule that says nothing is taken")
	}
	open.Settle(Amount{NanoDollars: 200 * cent})
	if spend(b, call("a", cent)) {
		t.Error("a call that was under way over the change does not count")
	}
	if err := b.Reload([]Rule{day, hour}); err != nil {
		t.Fatal(err)
	}
	if s := b.Status(Query{Rule: "hour"}); len(s) != 0 {
		t.Errorf("a rule that was gone knows %+v", s)
	}
	if err := b.Reload(nil); err != nil {
		t.Fatal(err)
	}
	if r, v := b.Reserve(t.Context(), call("a", cent)); r != nil || v.Action != Allow {
		t.Errorf("no rules: %v, %+v", r, v)
	}
}

func TestRules_of_one_identity_share_their_sum(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{
		{Name: "soft", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Warn},
		{Name: "hard", Scope: Tenant, Limit: dollars(2), Per: Day, Action: Block},
	}})
	spend(b, call("a", 100*cent))
	if r, v := b.Reserve(t.Context(), call("a", 100*cent)); v.Rule != "soft" || v.Spent != 100*cent {
		t.Errorf("%v, %+v", r, v)
	}
	if _, v := b.Reserve(t.Context(), call("a", cent)); v.Rule != "hard" || v.Reserved != 100*cent {
		t.Errorf("%+v", v)
	}
}

func TestSeed_counts_what_was_spent_in_windows_that_still_run(t *testing.T) {
	var told []Crossing
	b := newBudgets(t, Options{
		OnCrossing: func(c Crossing) { told = append(told, c) },
		Rules: []Rule{
			{Name: "hour", Scope: Tenant, Limit: dollars(1), Per: Hour, Action: Block, WarnAt: 0.5},
			{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Degrade, WarnAt: 0.9},
		},
	})
	b.Seed(noon.AddDate(0, 0, -1), call("a", 0), Amount{NanoDollars: 500 * cent})
	b.Seed(noon.Add(time.Hour), call("a", 0), Amount{NanoDollars: 500 * cent})
	b.Seed(noon.Add(-time.Minute), call("a", 0), Amount{NanoDollars: 40 * cent})
	b.Seed(noon, call("a", 0), Amount{NanoDollars: 60 * cent})
	b.Seed(noon, call("b", 0), Amount{})
	want := map[string]int64{"hour": 60 * cent, "day": 100 * cent}
	states := b.Status(Query{})
	if len(states) != 2 {
		t.Errorf("%+v", states)
	}
	for _, s := range states {
		if s.Spent != want[s.Rule] {
			t.Errorf("%+v", s)
		}
	}
	spend(b, call("a", 40*cent))
	if len(told) != 1 || told[0].Rule != "hour" || told[0].Event != Reached {
		t.Errorf("told is %+v", told)
	}
}

func TestBudgets_bound_the_subjects_they_know(t *testing.T) {
	c := newClock(noon)
	b := newBudgets(t, Options{Now: c.now, MaxSubjects: 1, Rules: []Rule{
		{Name: "tenant", Scope: Tenant, Limit: dollars(1), Per: Month, Action: Block},
		{Name: "session", Scope: Session, Limit: dollars(1), Per: Hour, Action: Block},
	}})
	session := func(i int) Call {
		return Call{Tenant: "a", Session: fmt.Sprint(i), Estimate: Amount{NanoDollars: 1}}
	}
	spend(b, call("old", 100*cent))
	for i := range 3 * MaxRules {
		spend(b, session(i))
	}
	if b.count > MaxRules {
		t.Fatalf("%d sums", b.count)
	}
	if spend(b, call("old", cent)) {
		t.Error("sessions pushed out a tenant")
	}
	c.set(noon.Add(time.Hour))
	for i := range 3 * MaxRules {
		spend(b, Call{Tenant: fmt.Sprint(i), Estimate: Amount{NanoDollars: 1}})
	}
	for _, s := range b.Status(Query{Rule: "session"}) {
		t.Errorf("a sum of an ended window is kept: %+v", s)
	}
	if n := (*b.meters.Load())[1].accounts.Len(); n != 0 || b.count > MaxRules {
		t.Errorf("%d sums of ended windows, %d in all", n, b.count)
	}
}

func TestBudgets_forget_subjects_that_spent_nothing(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{
		{Name: "tenant", Scope: Tenant, Limit: dollars(1), Per: Month, Action: Block},
		{Name: "all", Scope: Global, Limit: dollars(1), Per: Month, Action: Block},
	}})
	for i := range 10 {
		r, _ := b.Reserve(t.Context(), call(fmt.Sprint("made up ", i), cent))
		r.Settle(Amount{})
	}
	if b.count != 0 {
		t.Errorf("%d sums of nothing", b.count)
	}
	spend(b, call("rich", 100*cent))
	for i := range 10 {
		spend(b, call(fmt.Sprint("blocked ", i), cent))
	}
	if b.count != 2 {
		t.Errorf("%d sums, want 2", b.count)
	}
}
