package budget

import (
	"strings"
	"testing"
)

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
