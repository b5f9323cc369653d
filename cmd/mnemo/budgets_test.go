package main

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mnemo/budget"
	"mnemo/ledger"
	"mnemo/ledger/sqliteledger"
)

func TestSeedBudgets_counts_each_call_in_the_windows_that_it_is_in(t *testing.T) {
	store, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Now()
	var entries []ledger.Entry
	var rules []budget.Rule
	want := map[budget.Period]int64{}
	for i, per := range []budget.Period{budget.Hour, budget.Day, budget.Month} {
		begin, _ := per.Window(now)
		rules = append(rules, budget.Rule{
			Name: string(per), Scope: budget.Global, Per: per, Action: budget.Warn, Limit: budget.Limit{Amount: 1 << 40, Unit: budget.USD},
		})
		for j, at := range []time.Time{begin, begin.Add(-time.Millisecond)} {
			e := ledger.Entry{UID: ledger.UID{byte(1 + 2*i + j)}, Time: at, Tenant: "t", ModelUsed: "m", Operation: ledger.OperationChat,
				Usage: ledger.Usage{Input: 1}, Cost: 1 << (4 * (2*i + j)), Priced: true}
			e.Bound()
			entries = append(entries, e)
		}
	}
	for i := range entries {
		for _, r := range rules {
			if begin, _ := r.Per.Window(now); !entries[i].Time.Before(begin) {
				want[r.Per] += entries[i].Cost
			}
		}
	}
	if err := store.Append(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	rules = append(rules, budget.Rule{Name: "session", Scope: budget.Session, Per: budget.Hour, Action: budget.Warn,
		Limit: budget.Limit{Amount: 1 << 40, Unit: budget.USD}})
	b, err := budget.New(budget.Options{Rules: rules, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := seedBudgets(t.Context(), b, store, rules, now); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.Status(budget.Query{}) {
		if s.Spent != want[s.Per] {
			t.Errorf("%s: %d are spent, want %d", s.Rule, s.Spent, want[s.Per])
		}
		delete(want, s.Per)
	}
	if len(want) != 0 {
		t.Errorf("nothing is known of %v", want)
	}
}

// However many hours, tenants and models a month has.
func TestSeedBudgets_counts_all_of_a_long_month(t *testing.T) {
	const tenants, cent = 16, 10_000_000
	now := time.Date(2026, 11, 28, 21, 30, 0, 0, time.UTC)
	store, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var entries []ledger.Entry
	month, _ := budget.Month.Window(now)
	for at := month; at.Before(now); at = at.Add(time.Hour) {
		for n := range tenants {
			e := ledger.Entry{Time: at, Tenant: fmt.Sprint("t", n), ModelUsed: "m", Cost: cent, Priced: true}
			binary.BigEndian.PutUint64(e.UID[8:], uint64(len(entries)+1))
			entries = append(entries, e)
		}
	}
	if len(entries) <= ledger.MaxRows {
		t.Fatalf("%d entries are no test of the ledger's limit", len(entries))
	}
	if err := store.Append(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	rules := []budget.Rule{
		{Name: "month", Scope: budget.Tenant, Per: budget.Month, Action: budget.Block, Limit: budget.Limit{Amount: budget.MaxAmount, Unit: budget.USD}},
		{Name: "hour", Scope: budget.Global, Per: budget.Hour, Action: budget.Warn, Limit: budget.Limit{Amount: budget.MaxAmount, Unit: budget.USD}},
	}
	b, err := budget.New(budget.Options{Rules: rules, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := seedBudgets(t.Context(), b, store, rules, now); err != nil {
		t.Error(err)
	}
	states := b.Status(budget.Query{})
	if len(states) != tenants+1 {
		t.Errorf("%d sums, want %d", len(states), tenants+1)
	}
	for _, s := range states {
		want := int64(len(entries) / tenants * cent)
		if s.Rule == "hour" {
			want = tenants * cent
		}
		if s.Spent != want {
			t.Errorf("%s of %v begins with %d, want %d", s.Rule, s.Subject, s.Spent, want)
		}
	}
}
