package budget

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func dollars(n float64) Limit { return Limit{int64(n * nanoPerDollar), USD} }

func TestCheck_takes_rules_that_make_sense(t *testing.T) {
	err := Check([]Rule{
		{Name: "all", Scope: Global, Limit: dollars(100), Per: Month, Action: Block, WarnAt: 0.8},
		{Name: "team-day", Scope: Tenant, Match: "team-*", Limit: dollars(5), Per: Day, Action: Degrade},
		{Name: "s", Scope: Session, Tenant: "free*", Limit: Limit{10_000, Tokens}, Per: Hour, Action: Warn},
		{Name: "gpt.4_o", Scope: Model, Match: "gpt-4o", Limit: Limit{MaxAmount, USD}, Per: Hour, Action: Warn},
	})
	if err != nil {
		t.Error(err)
	}
	if err := Check(nil); err != nil {
		t.Error(err)
	}
}

func TestCheck_says_everything_that_is_wrong(t *testing.T) {
	good := Rule{Name: "good", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block}
	wrong := map[string]func(*Rule){
		"a name is":                func(r *Rule) { r.Name = "a b" },
		"letters":                  func(r *Rule) { r.Name = strings.Repeat("n", MaxName+1) },
		"a name is 1":              func(r *Rule) { r.Name = "" },
		"scope must":               func(r *Rule) { r.Scope = "user" },
		"match has no meaning":     func(r *Rule) { r.Scope, r.Match = Global, "x" },
		"a pattern is":             func(r *Rule) { r.Match = strings.Repeat("*", MaxPattern+1) },
		"at most 256":              func(r *Rule) { r.Tenant = strings.Repeat("*", MaxPattern+1) },
		"unit must":                func(r *Rule) { r.Limit.Unit = "EUR" },
		"more than 0":              func(r *Rule) { r.Limit.Amount = 0 },
		"at most 9000000.00 USD":   func(r *Rule) { r.Limit.Amount = MaxAmount + 1 },
		"per must":                 func(r *Rule) { r.Per = "week" },
		"action must":              func(r *Rule) { r.Action = Allow },
		"warn_at must":             func(r *Rule) { r.WarnAt = 1 },
		"warn_at must be at least": func(r *Rule) { r.WarnAt = -0.1 },
		"below 1":                  func(r *Rule) { r.WarnAt = math.NaN() },
	}
	for want, spoil := range wrong {
		bad := good
		spoil(&bad)
		if err := Check([]Rule{good, bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	bad := good
	bad.Per = ""
	err := Check([]Rule{good, bad})
	if err == nil || !strings.Contains(err.Error(), "per must") || !strings.Contains(err.Error(), "name is taken") {
		t.Errorf("two faults: %v", err)
	}
}

func TestCheck_bounds_the_number_of_rules(t *testing.T) {
	rules := make([]Rule, MaxRules+1)
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprint(i), Scope: Global, Limit: dollars(1), Per: Day, Action: Warn}
	}
	if err := Check(rules[:MaxRules]); err != nil {
		t.Error(err)
	}
	if Check(rules) == nil {
		t.Error("there is no bound")
	}
}
