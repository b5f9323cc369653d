package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode"

	"mnemo/proxy/manage"
)

// Whatever a server answers, it is shown, and nothing of it steers the terminal.
func FuzzAccounts_of_any_server_are_shown(f *testing.F) {
	for _, seed := range []string{
		`{"group_by":["model"],"rows":[{"group":{"model":"m\u001b"},"calls":1,"cost_nano_usd":-5}],"total":{"calls":1,"unpriced":2},"groups":9}`,
		`{"from":"2026-01-01T00:00:00Z","to":"2025-01-01T00:00:00Z","group_by":["day","hour"],"rows":[{"group":{"day":"2026-03-01T00:00:00Z"}},{"group":{"day":"1900-03-01T00:00:00Z"}}],"total":{"calls":2,"whole_history":{"input":5,"used":{"cost_nano_usd":1},"uncached":{"cost_nano_usd":0},"cached":{"cost_nano_usd":-1}}}}`,
		`{"calls":[{"id":"x\r\n","latency_ms":-1e300,"first_token_ms":1e308,"attempts":[{"outcome":"ok","start_ms":-5,"duration_ms":1e-300},{"start_ms":1e308,"duration_ms":1e308}],"phases":{"load_ms":-1,"commit_ms":1e9}}]}`,
		`{"calls":[{"attempts":[{}],"memory":{"status":"ok","turns":-1},"whole_history":{"input":-3},"tokens":{"output":1}}]}`,
		`{"budgets":[{"rule":"\u202e","used":1e300,"limit":-1,"spent":-9223372036854775808,"unit":"tokens"},{"used":-1,"period":"hour","resets":"9999-12-31T00:00:00Z"}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out strings.Builder
		var report manage.UsageReport
		if json.Unmarshal([]byte(text), &report) == nil {
			over := newTrend(&report, report.GroupBy, noon)
			mustWrite(t, writeUsage(&out, &report, over))
			mustWrite(t, writeUsage(io.Discard, &report, nil))
		}
		var calls manage.CallList
		if json.Unmarshal([]byte(text), &calls) == nil {
			for i := range calls.Calls {
				mustWrite(t, writeCall(&out, &calls.Calls[i], noon))
			}
		}
		var budgets manage.BudgetList
		if json.Unmarshal([]byte(text), &budgets) == nil {
			mustWrite(t, budgetTable(budgets.Budgets, noon).write(&out))
		}
		for _, r := range out.String() {
			if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%q steers a terminal: %q", text, out.String())
			}
		}
	})
}

func mustWrite(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
