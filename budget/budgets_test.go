package budget

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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

func TestBudgets_tell_of_a_crossing_once(t *testing.T) {
	var mu sync.Mutex
	var told []Crossing
	var log bytes.Buffer
	c := newClock(noon)
	b := newBudgets(t, Options{
		Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil)),
		OnCrossing: func(c Crossing) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, c)
		},
		Rules: []Rule{{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block, WarnAt: 0.8}},
	})
	for day := range 2 {
		c.set(noon.AddDate(0, 0, day))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { spend(b, call("a", 2*cent)) })
		}
		wg.Wait()
	}
	ids := make(map[string]bool)
	for i, c := range told {
		event, spent := Warning, 80*cent
		if i%2 == 1 {
			event, spent = Reached, 100*cent
		}
		if c.Event != event || c.Spent < int64(spent) || c.Rule != "day" || c.Subject.Tenant != "a" || c.Resets.Day() != 22+i/2 {
			t.Errorf("%d: %+v", i, c)
		}
		ids[c.ID] = true
	}
	if len(told) != 4 || len(ids) != 4 {
		t.Errorf("%d crossings, %d ids, want 4", len(told), len(ids))
	}
	for _, want := range []string{`a budget is nearly used up" budget=day subject.tenant=a action=block`, `limit="1.00 USD" per=day resets=2026-11-22`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
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

func TestVerdict_says_when_the_budget_resets(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{{Name: "team-day", Scope: Tenant, Limit: dollars(5), Per: Day, Action: Block}}})
	spend(b, call("a", 500*cent))
	_, v := b.Reserve(t.Context(), call("a", cent))
	if got, want := v.Message(), "the budget team-day of 5.00 USD a day is used up; it resets at 2026-11-22T00:00:00Z"; got != want {
		t.Errorf("%q", got)
	}
	v.Limit, v.Per = Limit{1000, Tokens}, Hour
	if got := v.Message(); !strings.Contains(got, "of 1000 tokens an hour is") {
		t.Errorf("%q", got)
	}
	if got := (Verdict{}).Message(); got != "" {
		t.Errorf("%q", got)
	}
}
