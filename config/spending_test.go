package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBudget_is_of_each_tenant_and_day_unless_it_says_otherwise(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, `
budgets:
  - {name: plain, limit: 5 USD}
  - {name: tokens, scope: model, match: "gpt-*", tenant: shop, limit: 100000 tokens, per: month, action: warn, warn_at: 0}
  - {name: all, scope: global, limit: 0.5 USD}
`)})
	want := []Budget{
		{"plain", ScopeTenant, "*", "*", Amount{NanoUSD: 5e9}, PerDay, ActionBlock, 0.8},
		{"tokens", ScopeModel, "gpt-*", "shop", Amount{Tokens: 100_000}, PerMonth, ActionWarn, 0},
		{"all", ScopeGlobal, "", "*", Amount{NanoUSD: 5e8}, PerDay, ActionBlock, 0.8},
	}
	if !slices.Equal(cfg.Budgets, want) {
		t.Errorf("got %+v", cfg.Budgets)
	}
	if got := setting(t, cfg, "budgets[1].limit").Value; got != "100000 tokens" {
		t.Errorf("shown as %s", got)
	}
}

func TestLedger_is_kept_for_ninety_days(t *testing.T) {
	if got := load(t, Sources{}).Ledger; got != (Ledger{Enabled: true, Interval: time.Second, Queue: 10_000, Keep: 2160 * time.Hour}) {
		t.Errorf("got %+v", got)
	}
}

func TestValidate_finds_what_does_not_fit_budgets_and_alerts(t *testing.T) {
	for text, want := range map[string]string{
		"budgets: [{limit: 1 USD}]":                                                   "1:12: budgets[0].name: must be 1 to 64 letters, digits or any of . _ -",
		"budgets: [{name: a}]":                                                        `1:12: budgets[0].limit: is missing: an amount such as "5 USD" or "100000 tokens"`,
		"budgets: [{name: a, limit: 5}]":                                              `1:28: budgets[0].limit: must be an amount above 0 such as "5 USD" or "100000 tokens", not "5"`,
		"budgets: [{name: a, limit: 1 USD}, {name: a, limit: 2 USD}]":                 "1:43: budgets[1].name: is the same as that of budgets[0]",
		"budgets: [{name: a, limit: 1 USD, scope: key}]":                              `1:42: budgets[0].scope: must be global, tenant, session or model, not "key"`,
		"budgets: [{name: a, limit: 1 USD, per: week}]":                               `1:40: budgets[0].per: must be hour, day or month, not "week"`,
		"budgets: [{name: a, limit: 1 USD, action: drop}]":                            `1:43: budgets[0].action: must be warn, degrade or block, not "drop"`,
		"budgets: [{name: a, limit: 1 USD, scope: global, match: a}]":                 "1:57: budgets[0].match: has no meaning with scope global; tenant says whose calls count",
		"budgets: [" + strings.Repeat("{name: a, limit: 1 USD},", maxBudgets+1) + "]": "1:1: budgets: must list at most 1000",
		"budgets: [{name: a, limit: 1 USD, match: ''}]":                               "1:42: budgets[0].match: must be a pattern: 1 to 256 visible ASCII characters, of which * stands for anything",
		"budgets: [{name: a, limit: 1 USD, tenant: a b}]":                             "1:43: budgets[0].tenant: must be a pattern: 1 to 256 visible ASCII characters, of which * stands for anything",
		"budgets: [{name: a, limit: 1 USD, warn_at: 1}]":                              `1:44: budgets[0].warn_at: must be at least 0 and less than 1, not "1"`,
		"ledger: {interval: 0s}":                                                      `1:20: ledger.interval: must be at least 10ms and at most 1h, not "0s"`,
		"ledger: {queue: 0}":                                                          `1:17: ledger.queue: must be at least 1 and at most 10000000, not "0"`,
		"alerts: {url: 'hunter2.example.com'}":                                        "1:15: alerts.url: must be an absolute http or https URL, such as https://example.com/hook",
		"alerts: {retries: 21}":                                                       `1:19: alerts.retries: must be at least 0 and at most 20, not "21"`,
		"telemetry: {semconv: v1.42}":                                                 `1:22: telemetry.semconv: must be v1.41, latest or both, not "v1.42" (did you mean v1.41?)`,
		"telemetry: {redact: ['a(']}":                                                 `1:22: telemetry.redact[0]: must be a regular expression: missing closing ), not "a("`,
		"telemetry: {redact: ['a*']}":                                                 `1:22: telemetry.redact[0]: must not match what is empty, not "a*"`,
		"telemetry: {redact: [~]}":                                                    "1:13: telemetry.redact[0]: must be a regular expression",
		"telemetry: {redact: [" + strings.Repeat("a,", maxPatterns) + "a]}":           "1:13: telemetry.redact: must list at most 100 expressions",
		"telemetry: {redact: [" + strings.Repeat("a", maxPattern+1) + "]}":            `1:22: telemetry.redact[0]: must be a shorter expression, not "` + strings.Repeat("a", maxShown) + `…"`,
		"telemetry: {tenants: 1001}":                                                  `1:22: telemetry.tenants: must be at least 0 and at most 1000, not "1001"`,
		"telemetry: {content_limit: 2MiB}":                                            `1:28: telemetry.content_limit: must be at least 64 and at most 256KiB, not "2MiB"`,
	} {
		got := mistakes(t, Sources{ReadFile: only(DefaultFile, text)})
		if !slices.Equal(got, []string{"mnemo.yaml:" + want}) {
			t.Errorf("%.200s\n gives %s\n want  mnemo.yaml:%s", text, strings.Join(got, "\n       "), want)
		}
	}
}
