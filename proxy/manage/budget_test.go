package manage

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"mnemo/budget"
)

// spending is budgets under all kinds of rules, of which calls of two tenants have
// spent.
func spending(t *testing.T) *budget.Budgets {
	t.Helper()
	usd := func(amount int64) budget.Limit { return budget.Limit{Amount: amount, Unit: budget.USD} }
	b, err := budget.New(budget.Options{Now: func() time.Time { return today }, Rules: []budget.Rule{
		{Name: "all", Scope: budget.Global, Limit: usd(10_000_000_000), Per: budget.Month, Action: budget.Warn},
		{Name: "team", Scope: budget.Tenant, Limit: usd(4_000_000_000), Per: budget.Day, Action: budget.Block},
		{Name: "chat", Scope: budget.Session, Limit: budget.Limit{Amount: 1000, Unit: budget.Tokens}, Per: budget.Hour, Action: budget.Degrade},
		{Name: "big", Scope: budget.Model, Match: "gpt-*", Limit: usd(5_000_000_000), Per: budget.Hour, Action: budget.Warn},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Seed(today, budget.Call{Tenant: "ada", Session: "trip", Model: "gpt-4o"}, budget.Amount{NanoDollars: 3_000_000_000, Tokens: 100})
	b.Seed(today, budget.Call{Tenant: "bob", Model: "llama"}, budget.Amount{NanoDollars: 1_000_000_000, Tokens: 10})
	b.Reserve(t.Context(), budget.Call{Tenant: "ada", Model: "gpt-4o", Estimate: budget.Amount{NanoDollars: 500_000_000}})
	return b
}

func budgetRig(t *testing.T) *rig {
	return newRig(t, func(o *Options) { o.Budgets = spending(t).Status })
}

// states are the rules and subjects that a list has.
func (r *rig) states(query string) string {
	r.t.Helper()
	var list BudgetList
	r.want(http.StatusOK, http.MethodGet, "/api/budgets?"+query, "", &list)
	var out []string
	for _, b := range list.Budgets {
		out = append(out, strings.Trim(b.Rule+" "+b.Subject.Tenant+"/"+b.Subject.Session+"/"+b.Subject.Model, "/ "))
	}
	return strings.Join(out, ", ")
}

func TestBudgets_tell_where_they_stand(t *testing.T) {
	var list BudgetList
	a := budgetRig(t).want(http.StatusOK, http.MethodGet, "/api/budgets", "", &list)
	midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if want := (BudgetList{Budgets: []BudgetState{
		{Rule: "team", Scope: "tenant", Action: "block", Subject: budget.Subject{Tenant: "ada"}, Spent: 3_000_000_000, Reserved: 500_000_000,
			Limit: 4_000_000_000, Unit: UnitNanoUSD, Used: 0.875, Period: "day", From: Time{midnight}, Resets: Time{midnight.AddDate(0, 0, 1)}},
		{Rule: "chat", Scope: "session", Action: "degrade", Subject: budget.Subject{Tenant: "ada", Session: "trip"}, Spent: 100,
			Limit: 1000, Unit: UnitTokens, Used: 0.1, Period: "hour", From: Time{midnight.Add(9 * time.Hour)}, Resets: Time{midnight.Add(10 * time.Hour)}},
	}}); !reflect.DeepEqual(list, want) {
		t.Errorf("%s", a.body)
	}
}

func TestBudgets_of_all_tenants_together_are_for_admins(t *testing.T) {
	r := budgetRig(t)
	if got := r.states(""); got != "team ada, chat ada/trip" {
		t.Errorf("ada sees %s", got)
	}
	if got := r.as(bobs).states(""); got != "team bob" {
		t.Errorf("bob sees %s", got)
	}
	for query, want := range map[string]string{
		"": "team ada, big //gpt-4o, all, team bob, chat ada/trip", "tenant=bob": "team bob", "rule=all": "all", "rule=big": "big //gpt-4o", "rule=none": "",
		"limit=2": "team ada, big //gpt-4o", "tenant=ada&rule=chat": "chat ada/trip", "tenant=ops": "",
	} {
		if got := r.as(root).states(query); got != want {
			t.Errorf("root sees %s with %q, want %s", got, query, want)
		}
	}
	for rule := range map[string]bool{"all": true, "big": true} {
		if got := r.states("rule=" + rule); got != "" {
			t.Errorf("ada sees %s", got)
		}
	}
	r.as(bobs).refused(http.StatusForbidden, "admin_only", http.MethodGet, "/api/budgets?tenant=ada", "")
}

func TestBudgets_are_all_for_who_is_alone(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Budgets = spending(t).Status
		o.Identify = func(*fasthttp.RequestHeader) (Caller, error) { return Caller{Tenant: "default", Alone: true}, nil }
	})
	if got := r.states("rule=all"); got != "all" {
		t.Errorf("got %s", got)
	}
	r.refused(http.StatusForbidden, "admin_only", http.MethodGet, "/api/budgets?tenant=ada", "")
}

func TestBudgets_may_be_none(t *testing.T) {
	if a := newRig(t, nil).want(http.StatusOK, http.MethodGet, "/api/budgets", "", nil); a.body != `{"budgets":[]}`+"\n" {
		t.Error(a.body)
	}
	r := budgetRig(t)
	for _, query := range []string{"rule=", "rule=" + strings.Repeat("x", 65), "limit=0", "limit=1001"} {
		r.refused(http.StatusBadRequest, "invalid_parameter", http.MethodGet, "/api/budgets?"+query, "")
	}
}
