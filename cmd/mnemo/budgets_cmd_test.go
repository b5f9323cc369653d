package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mnemo/budget"
	"mnemo/proxy/manage"
)

// fourBudgets are one of each kind.
func fourBudgets() []budget.State {
	return []budget.State{
		{Rule: "chat", Scope: budget.Session, Action: budget.Degrade, Subject: budget.Subject{Tenant: "ada", Session: "trip"}, Spent: 1010, Reserved: 100,
			Limit: budget.Limit{Amount: 1000, Unit: budget.Tokens}, Per: budget.Hour, From: noon, Resets: noon.Add(time.Hour)},
		{Rule: "team-day", Scope: budget.Tenant, Action: budget.Block, Subject: budget.Subject{Tenant: "ada"}, Spent: 3_000_000_000, Reserved: 20_000,
			Limit: budget.Limit{Amount: 4_000_000_000, Unit: budget.USD}, Per: budget.Day, From: noon, Resets: noon.Add(12 * time.Hour)},
		{Rule: "big", Scope: budget.Model, Action: budget.Warn, Subject: budget.Subject{Model: "gpt-5\x1b"}, Spent: 1,
			Limit: budget.Limit{Amount: 125_000, Unit: budget.USD}, Per: budget.Month, From: noon, Resets: noon.AddDate(0, 1, 0)},
		{Rule: "all", Scope: budget.Global, Action: budget.Warn,
			Limit: budget.Limit{Amount: 9_000_000_000_000_000, Unit: budget.USD}, Per: budget.Month, From: noon, Resets: noon},
	}
}

func TestBudgets_are_a_table_with_bars(t *testing.T) {
	_, text, _ := newAccounts(t, nil, fourBudgets()...).run(t, adminKey, "budgets", "--json")
	var list manage.BudgetList
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Budgets) != 4 {
		t.Fatalf("%v: %s", err, text)
	}
	var out strings.Builder
	if err := budgetTable(list.Budgets, noon).write(&out); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"RULE      OF                                          USED         SPENT   RESERVED  LIMIT                THEN     RESETS\n" +
		"chat      session trip of ada  ████████████████████  111 %          1010        100  1000 tokens an hour  degrade  in 60 min\n" +
		"team-day  tenant ada           ███████████████░░░░░   75 %         $3.00  $0.000020  $4.00 a day          block    in 12 h\n" +
		"big       model gpt-5�         ▏░░░░░░░░░░░░░░░░░░░  < 1 %  $0.000000001      $0.00  $0.000125 a month    warn     in 31 d\n" +
		"all       all calls            ░░░░░░░░░░░░░░░░░░░░    0 %         $0.00      $0.00  $9000000.00 a month  warn     now\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBudgets_show_what_one_may_see(t *testing.T) {
	a := newAccounts(t, nil, fourBudgets()...)
	code, out, errs := a.run(t, adaKey, "budgets")
	if code != exitOK || strings.Count(out, "\n") != 3 || !strings.Contains(out, "team-day") || strings.Contains(out, "all calls") {
		t.Errorf("exits with %d, %s%s", code, out, errs)
	}
	for _, c := range []struct {
		args  []string
		lines int
	}{{nil, 5}, {[]string{"--rule", "big"}, 2}, {[]string{"--limit", "2"}, 3}, {[]string{"--tenant", "ada"}, 3}} {
		_, out, errs := a.run(t, adminKey, append([]string{"budgets"}, c.args...)...)
		if strings.Count(out, "\n") != c.lines || strings.Contains(out, "\x1b") {
			t.Errorf("%q: %s%s", c.args, out, errs)
		}
	}
	if _, out, _ := a.run(t, adaKey, "budgets", "--rule", "nobodys"); !strings.HasPrefix(out, "There are no budgets") {
		t.Error(out)
	}
	if code, _, errs := a.run(t, adaKey, "budgets", "--limit", "0"); code != exitFailed || !strings.Contains(errs, "limit is a number from 1 to 1000") {
		t.Errorf("exits with %d, %s", code, errs)
	}
}

func TestInTimeOf_says_it_as_people_do(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 0: "now", time.Second: "in a minute", time.Minute: "in 1 min", 119 * time.Minute: "in 119 min", 2 * time.Hour: "in 2 h",
		47 * time.Hour: "in 47 h", 48 * time.Hour: "in 2 d", 31 * day: "in 31 d",
	} {
		if got := inTimeOf(noon.Add(d), noon); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
