package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mnemo/budget"
	"mnemo/budget/redisbudget"
	"mnemo/config"
	"mnemo/internal/redisclient"
	"mnemo/ledger"
	"mnemo/telemetry"
)

const (
	// seedTimeout bounds how long a start waits for the ledger to say what was spent.
	seedTimeout = 10 * time.Second
	// budgetTimeout bounds what is asked of Redis. A call waits for the answer for as long
	// as budgetPatience; then what this process knows decides, and all together may spend
	// more than the limit.
	budgetTimeout  = time.Second
	budgetPatience = 500 * time.Millisecond
)

// budgets are the budgets and what they need. Its zero value has none.
type budgets struct {
	*budget.Budgets
	alerts *budget.Alerts
	redis  *redisclient.Client
}

// Private

// openBudgets makes the budgets. Where the store is Redis, replicas share them there;
// else they begin with what the ledger knows, which may be nil.
func openBudgets(ctx context.Context, c *config.Config, spent ledger.Store, t *telemetry.Telemetry) (b budgets, err error) {
	rules, err := budgetRules(c)
	if err != nil {
		return b, err
	}
	o := budget.Options{Rules: rules, Deadline: budgetPatience, Log: t.Logger(), OnCrossing: func(x budget.Crossing) {
		action := string(x.Action)
		if x.Event == budget.Warning {
			action = string(budget.Warn)
		}
		t.BudgetCrossed(x.Rule, action)
	}}
	if url := c.Alerts.URL.Reveal(); url != "" {
		retries := c.Alerts.Retries
		if retries == 0 {
			retries = -1 // there, 0 is the default
		}
		b.alerts, err = budget.NewAlerts(budget.AlertOptions{URL: url, Secret: c.Alerts.Secret.Reveal(), Retries: retries, Log: t.Logger()})
		if err != nil {
			return b, fmt.Errorf("alerts: %w", err)
		}
		o.Alerts = b.alerts
	}
	if strings.HasPrefix(c.Store.URL.Scheme(), "redis") {
		if b.redis, err = redisclient.New(c.Store.URL.Reveal(), redisclient.Options{Timeout: budgetTimeout, Retries: -1}); err != nil {
			return b, err
		}
		o.Counter = redisbudget.New(redisbudget.Options{Client: b.redis})
	}
	if b.Budgets, err = budget.New(o); err != nil {
		return b, fmt.Errorf("budgets: %w", err)
	}
	if o.Counter == nil && spent != nil && len(rules) > 0 {
		if err := seedBudgets(ctx, b.Budgets, spent, rules, time.Now()); err != nil {
			t.Logger().Warn("budgets do not begin with all that was spent", "error", err)
		}
	}
	return b, nil
}

// close tells the last sums and crossings.
func (b *budgets) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastAlerts)
	defer cancel()
	var err error
	if b.Budgets != nil {
		err = b.Close(ctx)
	}
	if failed := b.alerts.Close(ctx); err == nil {
		err = failed
	}
	if b.redis != nil {
		_ = b.redis.Close()
	}
	return err
}

// budgetRules are the rules of a configuration.
func budgetRules(c *config.Config) (rules []budget.Rule, err error) {
	for _, b := range c.Budgets {
		limit, err := budget.ParseLimit(b.Limit.String())
		if err != nil {
			return nil, fmt.Errorf("budgets: %s: %w", b.Name, err)
		}
		rule := budget.Rule{
			Name: b.Name, Scope: budget.Scope(b.Scope), Match: b.Match, Tenant: b.Tenant, Limit: limit,
			Per: budget.Period(b.Per), Action: budget.Action(b.Action), WarnAt: b.WarnAt,
		}
		if rule.WarnAt >= 1 {
			rule.WarnAt = 0 // at the limit is told in any case
		}
		if rule.Scope == budget.Global {
			rule.Match = ""
		}
		rules = append(rules, rule)
	}
	if err := budget.Check(rules); err != nil {
		return nil, fmt.Errorf("budgets: %w", err)
	}
	return rules, nil
}

// seedBudgets tells the budgets what was spent in the windows that are running at now.
func seedBudgets(ctx context.Context, b *budget.Budgets, spent ledger.Store, rules []budget.Rule, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	by := []ledger.Dimension{ledger.ByTenant, ledger.ByModel}
	var begins []time.Time
	for _, r := range rules {
		begin, _ := r.Per.Window(now)
		begins = append(begins, begin)
		if r.Scope == budget.Session && len(by) == 2 {
			by = append(by, ledger.BySession)
		}
	}
	slices.SortFunc(begins, time.Time.Compare)
	begins = append(slices.CompactFunc(begins, time.Time.Equal), now)
	missing := 0
	for i, from := range begins[:len(begins)-1] {
		report, err := spent.Usage(ctx, ledger.Query{
			Scope: ledger.Scope{AllTenants: true}, From: from, To: begins[i+1], GroupBy: by, Limit: ledger.MaxRows,
		})
		if err != nil {
			return err
		}
		for _, row := range report.Rows {
			b.Seed(from, budget.Call{Tenant: row.Tenant, Session: row.Session, Model: row.Model},
				budget.Amount{NanoDollars: row.Cost, Tokens: row.Input + row.Output})
		}
		missing += report.Groups - len(report.Rows)
	}
	if missing > 0 {
		return fmt.Errorf("%d of the cheapest tenants, models and sessions are left out", missing)
	}
	return nil
}
