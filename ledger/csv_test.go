package ledger_test

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
)

func TestWriteCSV_is_read_back_by_others(t *testing.T) {
	priced := ledger.Sums{Calls: 2, Unpriced: 1, Cost: 1_234_500_000, Usage: ledger.Usage{Input: 7}, Full: ledger.Full{Calls: 1, Priced: 1, Cost: 3}}
	r := &ledger.Report{GroupBy: []ledger.Dimension{ledger.ByDay, ledger.ByModel, ledger.BySession}, Rows: []ledger.Row{
		{Group: ledger.Group{Time: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Model: `a "b", c`, Session: "=HYPERLINK(1)"}, Sums: priced},
		{Group: ledger.Group{Time: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC), Session: "＠x"}, Sums: ledger.Sums{Calls: 1, Unpriced: 1}},
	}}
	var text strings.Builder
	if err := ledger.WriteCSV(&text, r); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text.String(), "\r\n"); lines != 3 || strings.Count(text.String(), "\n") != 3 {
		t.Errorf("%d lines end with CRLF of\n%s", lines, text.String())
	}
	rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
	if err != nil || len(rows) != 3 || len(rows[0]) != 3+len(ledger.Columns()) {
		t.Fatalf("%q, %v", rows, err)
	}
	cell := func(row int, column string) string { return rows[row][slices.Index(rows[0], column)] }
	for _, tt := range []struct {
		row          int
		column, want string
	}{
		{1, "day", "2026-03-02T00:00:00Z"}, {1, "model", `a "b", c`}, {1, "session", "'=HYPERLINK(1)"}, {1, "calls", "2"}, {1, "input", "7"},
		{1, "cost_usd", "1.2345"}, {1, "full_cost_usd", "0.000000003"}, {1, "full_used_cost_usd", "0"},
		{2, "model", ""}, {2, "session", "'＠x"}, {2, "cost_usd", ""}, {2, "full_cost_cached_usd", ""}, {2, "output", "0"},
	} {
		if got := cell(tt.row, tt.column); got != tt.want {
			t.Errorf("%s of row %d is %q, want %q", tt.column, tt.row, got, tt.want)
		}
	}
}

func TestWriteCSV_of_nothing_is_a_header(t *testing.T) {
	var text strings.Builder
	if err := ledger.WriteCSV(&text, &ledger.Report{}); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.HasPrefix(got, "calls,measured,") || !strings.HasSuffix(got, ",full_used_cost_usd\r\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func TestWriteCSV_tells_that_nobody_reads(t *testing.T) {
	r := &ledger.Report{Rows: make([]ledger.Row, 1000)}
	if err := ledger.WriteCSV(full{}, r); !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errDown }
