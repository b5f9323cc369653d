package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"mnemo/budget"
	"mnemo/proxy/manage"
)

// budgetsCmd shows where the budgets of a running server stand.
type budgetsCmd struct {
	apiFlags
	Rule  string `help:"Only budgets of this rule." placeholder:"NAME"`
	Limit int    `help:"At most so many, those that are used up most." default:"100" placeholder:"N"`
	JSON  bool   `help:"Print JSON, for programs."`
}

// Run prints a table.
func (c *budgetsCmd) Run(ctx context.Context, p *process) error {
	api, err := c.client(p)
	if err != nil {
		return err
	}
	defer api.close()
	query := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	if c.Rule != "" {
		query.Set("rule", c.Rule)
	}
	var list manage.BudgetList
	if _, err := api.json(ctx, apiCall{method: http.MethodGet, of: "/budgets", query: query}, &list); err != nil {
		return fmt.Errorf("show budgets: %w", err)
	}
	if c.JSON {
		return printJSON(p.stdout, &list)
	}
	if len(list.Budgets) == 0 {
		_, err = fmt.Fprintln(p.stdout, "There are no budgets that you may see and of which something was spent.")
		return err
	}
	return budgetTable(list.Budgets, time.Now()).write(p.stdout)
}

// Private

func budgetTable(list []manage.BudgetState, now time.Time) *table {
	t := &table{
		head:  []string{"RULE", "OF", "", "USED", "SPENT", "RESERVED", "LIMIT", "THEN", "RESETS"},
		right: []bool{3: true, 4: true, 5: true, 8: false},
	}
	for i := range list {
		b := &list[i]
		t.rows = append(t.rows, []string{
			fit(printable(b.Rule), idColumns), subjectOf(b), gauge(b.Used), usedOf(b), amountOf(b, b.Spent), amountOf(b, b.Reserved),
			limitOf(b), printable(string(b.Action)), inTimeOf(b.Resets.Time, now),
		})
	}
	return t
}

// subjectOf is whose budget it is.
func subjectOf(b *manage.BudgetState) string {
	name := func(what, id string) string { return what + " " + fit(printable(id), idColumns) }
	switch {
	case b.Subject.Session != "":
		return name("session", b.Subject.Session) + name(" of", b.Subject.Tenant)
	case b.Subject.Tenant != "":
		return name("tenant", b.Subject.Tenant)
	case b.Subject.Model != "":
		return name("model", b.Subject.Model)
	}
	return "all calls"
}

// gauge is a share of a whole whose rest can be seen.
func gauge(share float64) string {
	filled := bar(share, barColumns)
	return filled + strings.Repeat("░", barColumns-uniseg.StringWidth(filled))
}

func usedOf(b *manage.BudgetState) string {
	return percent(b.Spent+b.Reserved, b.Limit)
}

func amountOf(b *manage.BudgetState, n int64) string {
	if b.Unit == manage.UnitTokens {
		return plain(n)
	}
	return shortUSD(n)
}

// limitOf is a limit, exactly.
func limitOf(b *manage.BudgetState) string {
	limit := budget.Limit{Amount: b.Limit, Unit: budget.USD}
	if b.Unit == manage.UnitTokens {
		limit.Unit = budget.Tokens
	}
	text := limit.String()
	if dollars, found := strings.CutSuffix(text, " USD"); found {
		text = "$" + dollars
	}
	article := " a "
	if b.Period == budget.Hour {
		article = " an "
	}
	return text + article + printable(string(b.Period))
}

// inTimeOf is how long it is until a moment, in whole units.
func inTimeOf(at, now time.Time) string {
	d := at.Sub(now)
	switch {
	case d <= 0:
		return "now"
	case d < time.Minute:
		return "in a minute"
	case d < 2*time.Hour:
		return fmt.Sprintf("in %d min", d/time.Minute)
	case d < 2*24*time.Hour:
		return fmt.Sprintf("in %d h", d/time.Hour)
	}
	return fmt.Sprintf("in %d d", d/(24*time.Hour))
}
