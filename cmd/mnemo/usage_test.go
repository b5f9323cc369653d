package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
	"mnemo/proxy/manage"
)

// aWeek is calls of two models on several days.
func aWeek() []ledger.Entry {
	return []ledger.Entry{
		spentAt(time.Hour, "gpt-4o", 8_000_000, func(e *ledger.Entry) {
			e.Stream, e.FirstToken = true, 300*time.Millisecond
			e.FullKnown, e.FullInput, e.FullCost, e.FullCostCached = true, 4000, 32_000_000, 7_000_000
		}),
		spentAt(25*time.Hour, "gpt-4o", 4_000_000, func(e *ledger.Entry) { e.Usage.CachedInput = 500 }),
		spentAt(49*time.Hour, "gpt-4o", 1_000_000, func(e *ledger.Entry) { e.Status, e.Error, e.Measured = 499, "client_gone", false }),
		spentAt(6*day, "gpt-4o-mini", 123, nil),
		spentAt(2*time.Hour, "house-llama", 0, func(e *ledger.Entry) { e.Priced, e.Degraded = false, true }),
		spentAt(2*time.Hour, "gpt-4o", 9_000_000, func(e *ledger.Entry) { e.Tenant = "bob" }),
		spentAt(9*day, "gpt-4o", 5_000_000, nil),
	}
}

func TestUsage_is_a_table_with_a_total_and_how_costs_went(t *testing.T) {
	a := newAccounts(t, aWeek())
	a.prints(t, ""+
		"MODEL        CALLS  ERRORS  INPUT  CACHED  OUTPUT  LATENCY  FIRST TOKEN         COST  COST BY DAY  NOTES\n"+
		"gpt-4o           3       1   3000    17 %     300   800 ms       300 ms  $0.01300000  ·····▁▄█     estimated 1\n"+
		"gpt-4o-mini      1       0   1000     0 %     100   800 ms            -  $0.00000012  ·█······\n"+
		"house-llama      1       0   1000     0 %     100   800 ms            -            ?  ········     unpriced 1, degraded 1\n"+
		"total            5       1   5000    10 %     500   800 ms       300 ms  $0.01300012  ·▁···▁▄█     unpriced 1, estimated 1, degraded 1\n"+
		"\n"+
		"Memory: 1 call with 1000 tokens of input, where the whole history has 4000 (75 % saved).\n"+
		"They cost $0.0080, where that would cost $0.032 (75 % saved), or $0.0070 with the provider's cache (14 % more).\n",
		"usage", "--from", "7d", "--to", "2026-03-01T12:00:00Z")
}

func TestUsage_by_day_has_bars(t *testing.T) {
	newAccounts(t, aWeek()).prints(t, ""+
		"DAY         CALLS  ERRORS  INPUT  CACHED  OUTPUT  LATENCY     COST                        NOTES\n"+
		"2026-02-27      1       1   1000     0 %     100   800 ms  $0.0010  █████                 estimated 1\n"+
		"2026-02-28      1       0   1000    50 %     100   800 ms  $0.0040  ████████████████████\n"+
		"total           2       1   2000    25 %     200   800 ms  $0.0050                        estimated 1\n",
		"usage", "--by", "day", "--since", "3d", "--to", "2026-03-01", "--model", "gpt-4o")
}

func TestUsage_by_three_dimensions_has_no_trend(t *testing.T) {
	a := newAccounts(t, aWeek())
	a.prints(t, ""+
		"UPSTREAM  MODEL        SESSION  CALLS  INPUT  OUTPUT  LATENCY         COST\n"+
		"openai    gpt-4o-mini  trip         1   1000     100   800 ms  $0.00000012\n"+
		"total                               1   1000     100   800 ms  $0.00000012\n",
		"usage", "--by", "upstream,model,session", "--since", "10d", "--model", "gpt-4o-mini")
	a.prints(t, ""+
		"CALLS  ERRORS  INPUT  CACHED  OUTPUT  LATENCY     COST  NOTES\n"+
		"    2       1   2000    25 %     200   800 ms  $0.0050  estimated 1\n",
		"usage", "--by", "", "--from", "3d", "--to", "2026-03-01")
}

func TestUsage_of_what_costs_nothing_shows_tokens(t *testing.T) {
	a := newAccounts(t, []ledger.Entry{
		spentAt(30*time.Minute, "llama", 0, nil), spentAt(150*time.Minute, "llama", 0, func(e *ledger.Entry) { e.Usage.Input = 300 }),
	})
	a.prints(t, ""+
		"SESSION  CALLS  INPUT  OUTPUT  LATENCY   COST  TOKENS BY HOUR\n"+
		"trip         2   1300     200   800 ms  $0.00  ··▃·█\n"+
		"total        2   1300     200   800 ms  $0.00  ··▃·█\n",
		"usage", "--by", "session", "--since", "5h", "--to", "0m")
	a.prints(t, ""+
		"HOUR              CALLS  INPUT  OUTPUT  LATENCY   COST\n"+
		"2026-03-01 09:00      1    300     100   800 ms  $0.00  ███████▎\n"+
		"2026-03-01 11:00      1   1000     100   800 ms  $0.00  ████████████████████\n"+
		"total                 2   1300     200   800 ms  $0.00\n",
		"usage", "--by", "hour")
}

func TestUsage_says_what_is_beyond_its_rows(t *testing.T) {
	a := newAccounts(t, aWeek())
	_, out, _ := a.run(t, adaKey, "usage", "--limit", "1")
	if !strings.Contains(out, "\ntotal       5 ") || strings.Contains(out, "house-llama") || !strings.Contains(out, "\nThe total is of 2 groups more, too: --limit shows them.\n") {
		t.Error(out)
	}
	a.prints(t, "There are no calls in this time.\n", "usage", "--session", "nobodys")
	a.prints(t, "There are no calls in this time.\n", "usage", "--to", "100d")
}

func TestUsage_is_ones_own_unless_an_admin_asks(t *testing.T) {
	a := newAccounts(t, aWeek())
	code, _, errs := a.run(t, adaKey, "usage", "--all")
	if code != exitFailed || !strings.Contains(errs, "only an admin key") {
		t.Errorf("%d %s", code, errs)
	}
	for _, args := range [][]string{{"--all"}, {"--all-tenants"}, {"--tenant", "bob"}} {
		_, out, errs := a.run(t, adminKey, append([]string{"usage", "--by", "tenant"}, args...)...)
		if !strings.Contains(out, "\nbob ") || strings.Contains(out, "\nada ") != (len(args) == 1) {
			t.Errorf("%q: %s%s", args, out, errs)
		}
	}
	if _, out, _ := a.run(t, adminKey, "usage"); out != "There are no calls in this time.\n" {
		t.Error(out)
	}
}

func TestUsage_prints_for_programs_all_that_there_is(t *testing.T) {
	entries := make([]ledger.Entry, 300)
	for i := range entries {
		entries[i] = spentAt(time.Duration(i)*time.Second, fmt.Sprintf("=m%d", i), 7, nil)
	}
	a := newAccounts(t, entries)
	_, out, errs := a.run(t, adaKey, "usage", "--json")
	var report manage.UsageReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Rows) != 300 || *report.Total.NanoUSD != 2100 || *report.Rows[0].USD != "0.000000007" {
		t.Errorf("%v %s %.300s", err, errs, out)
	}
	_, out, errs = a.run(t, adaKey, "usage", "--csv", "--by", "model,hour")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 301 || rows[0][0] != "model" || rows[1][0][:2] != "'=" {
		t.Errorf("%v %s %.300s", err, errs, out)
	}
	for _, args := range [][]string{{"--json", "--csv"}, {"--since", "1d", "--from", "1d"}} {
		if code, _, errs := a.run(t, adaKey, append([]string{"usage"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%q exits with %d, %s", args, code, errs)
		}
	}
	for flag, value := range map[string]string{"--since": "soon", "--by": "colour", "--limit": "10001", "--to": "99999d"} {
		if code, out, errs := a.run(t, adaKey, "usage", flag, value); code != exitFailed || out != "" || !strings.HasPrefix(errs, "mnemo: usage: ") {
			t.Errorf("%s %s exits with %d, %s%s", flag, value, code, out, errs)
		}
	}
}

func TestUsage_steers_no_terminal(t *testing.T) {
	a := newAccounts(t, []ledger.Entry{spentAt(time.Minute, "gpt\x1b[2J\u202e"+strings.Repeat("京", 60), 1, nil)})
	for _, args := range [][]string{nil, {"--by", "session,model"}, {"--by", "model,day"}} {
		_, out, errs := a.run(t, adaKey, append([]string{"usage"}, args...)...)
		if strings.ContainsAny(out, "\x1b\u202e\r") || !strings.Contains(out, "京…") {
			t.Errorf("%q%s", out, errs)
		}
	}
}

func TestExplainHistory_is_honest(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for _, c := range []struct {
		h    manage.WholeHistory
		want string
	}{
		{manage.WholeHistory{Calls: 2, Input: 300, UsedInput: 300}, "Memory left nothing out: 2 calls with 300 tokens of input, the whole history.\n"},
		{manage.WholeHistory{Calls: 3, Input: 1000, UsedInput: 1, Priced: 2, Used: manage.Money{NanoUSD: n(0)},
			Uncached: manage.Saving{Money: manage.Money{NanoUSD: n(0)}}, Cached: manage.Saving{Money: manage.Money{NanoUSD: n(0)}}},
			"Memory: 3 calls with 1 token of input, where the whole history has 1000 (> 99 % saved).\n" +
				"The 2 of known price cost $0.00, where that would cost $0.00, or $0.00 with the provider's cache.\n"},
	} {
		if got := explainHistory(&c.h); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	for _, c := range []struct {
		part, whole int64
		want        string
	}{{0, 0, "-"}, {0, 9, "0 %"}, {1, 1000, "< 1 %"}, {999, 1000, "> 99 %"}, {9, 9, "100 %"}, {3, 2, "150 %"}} {
		if got := percent(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d: got %q, want %q", c.part, c.whole, got, c.want)
		}
	}
}
