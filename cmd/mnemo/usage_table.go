package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"mnemo/ledger"
	"mnemo/proxy/manage"
)

// barColumns is how wide the longest bar of a table is.
const barColumns = 20

// A usageTable is a report on its way to a terminal.
type usageTable struct {
	table
	report   *manage.UsageReport
	over     *trend // nil: none is shown
	decimals int    // of costs
	dearest  int64
	money    bool // bars are of costs, not of tokens
}

// Private

// writeUsage writes a row for each group, the total, and what memory did.
func writeUsage(w io.Writer, r *manage.UsageReport, over *trend) error {
	if r.Total.Calls == 0 {
		_, err := fmt.Fprintln(w, "There are no calls in this time.")
		return err
	}
	t := newUsageTable(r, over)
	if err := t.write(w); err != nil {
		return err
	}
	var s strings.Builder
	if more := r.Groups - len(r.Rows); more > 0 {
		fmt.Fprintf(&s, "The total is of %s more, too: --limit shows them.\n", count(more, "group"))
	}
	if h := r.Total.WholeHistory; h != nil {
		s.WriteString("\n" + explainHistory(h))
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func newUsageTable(r *manage.UsageReport, over *trend) *usageTable {
	t := &usageTable{report: r, over: over, money: nano(&r.Total) > 0}
	costs := []int64{nano(&r.Total)}
	for i := range r.Rows {
		costs = append(costs, nano(&r.Rows[i].UsageSums))
		t.dearest = max(t.dearest, weight(&r.Rows[i].UsageSums, t.money))
	}
	t.decimals = decimalsOf(costs...)
	for _, d := range r.GroupBy {
		t.column(strings.ToUpper(string(d)), false, func(row *manage.UsageRow) string { return t.groupCell(row, d) })
	}
	t.columns()
	return t
}

// columns adds the columns after those of the groups. What no call has has none.
func (t *usageTable) columns() {
	total := &t.report.Total
	number := func(title string, of func(*manage.UsageRow) string) { t.column(title, true, of) }
	number("CALLS", func(r *manage.UsageRow) string { return plain(r.Calls) })
	if total.Errors > 0 {
		number("ERRORS", func(r *manage.UsageRow) string { return plain(r.Errors) })
	}
	number("INPUT", func(r *manage.UsageRow) string { return plain(r.Tokens.Input) })
	if total.Tokens.CachedInput > 0 {
		number("CACHED", func(r *manage.UsageRow) string { return percent(r.Tokens.CachedInput, r.Tokens.Input) })
	}
	number("OUTPUT", func(r *manage.UsageRow) string { return plain(r.Tokens.Output) })
	number("LATENCY", func(r *manage.UsageRow) string { return milliseconds(r.Latency) })
	if total.FirstToken != nil {
		number("FIRST TOKEN", func(r *manage.UsageRow) string { return milliseconds(r.FirstToken) })
	}
	number("COST", func(r *manage.UsageRow) string {
		if r.NanoUSD == nil {
			return "?"
		}
		return usd(*r.NanoUSD, t.decimals)
	})
	switch {
	case t.over != nil:
		t.column(t.over.title, false, t.sparkCell)
	case inTime(t.report.GroupBy) && t.dearest > 0:
		t.column("", false, func(r *manage.UsageRow) string {
			if r.Group == nil {
				return ""
			}
			return bar(float64(weight(&r.UsageSums, t.money))/float64(t.dearest), barColumns)
		})
	}
	if notes(total) != "" {
		t.column("NOTES", false, func(r *manage.UsageRow) string { return notes(&r.UsageSums) })
	}
}

// column adds a column to the head, to each row, and to the total, which has no group.
func (t *usageTable) column(title string, right bool, of func(*manage.UsageRow) string) {
	rows := t.report.Rows
	if t.rows == nil {
		t.rows = make([][]string, len(rows)+1)
		if len(t.report.GroupBy) == 0 { // the row is the total
			t.rows = t.rows[:1]
		}
	}
	t.head, t.right = append(t.head, title), append(t.right, right)
	last := len(t.rows) - 1
	for i := range t.rows {
		row := &manage.UsageRow{UsageSums: t.report.Total}
		if i < last {
			row = &rows[i]
		}
		t.rows[i] = append(t.rows[i], of(row))
	}
}

func (t *usageTable) groupCell(row *manage.UsageRow, d ledger.Dimension) string {
	if row.Group == nil {
		if d == t.report.GroupBy[0] {
			return "total"
		}
		return ""
	}
	text := row.Group[d]
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		switch d {
		case ledger.ByDay:
			text = at.Format(time.DateOnly)
		case ledger.ByHour:
			text = at.Format("2006-01-02 15:04")
		}
	}
	return cmp.Or(fit(printable(text), idColumns), "-")
}

func (t *usageTable) sparkCell(row *manage.UsageRow) string {
	if row.Group == nil {
		return t.over.total()
	}
	if line := t.over.lines[groupKey(row.Group, t.report.GroupBy)]; line != nil {
		return sparkline(line)
	}
	return ""
}

// notes are what deserves attention about calls.
func notes(s *manage.UsageSums) string {
	var parts []string
	for _, n := range []struct {
		what  string
		calls int64
	}{{"unpriced", s.Unpriced}, {"estimated", s.Estimated}, {"from cache", s.Cached}, {"degraded", s.Degraded}} {
		if n.calls > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", n.what, n.calls))
		}
	}
	return strings.Join(parts, ", ")
}

// explainHistory says what memory saved.
func explainHistory(h *manage.WholeHistory) string {
	calls, tokens := count(int(h.Calls), "call"), count(int(h.UsedInput), "token")
	if h.Input == h.UsedInput {
		return fmt.Sprintf("Memory left nothing out: %s with %s of input, the whole history.\n", calls, tokens)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "Memory: %s with %s of input, where the whole history has %d%s.\n",
		calls, tokens, h.Input, saved(h.Input, h.UsedInput))
	if h.Used.NanoUSD == nil || h.Uncached.NanoUSD == nil || h.Cached.NanoUSD == nil {
		return s.String()
	}
	subject := "They"
	if h.Priced < h.Calls {
		subject = fmt.Sprintf("The %d of known price", h.Priced)
	}
	used, plain, cached := *h.Used.NanoUSD, *h.Uncached.NanoUSD, *h.Cached.NanoUSD
	fmt.Fprintf(&s, "%s cost %s, where that would cost %s%s, or %s with the provider's cache%s.\n",
		subject, shortUSD(used), shortUSD(plain), saved(plain, used), shortUSD(cached), saved(cached, used))
	return s.String()
}

// saved is how much less something is than it would be, in parentheses.
func saved(would, did int64) string {
	switch {
	case would <= 0 || would == did:
		return ""
	case did < would:
		return fmt.Sprintf(" (%s saved)", percent(would-did, would))
	}
	return fmt.Sprintf(" (%s more)", percent(did-would, would))
}

// percent is a share; one that is not 0 is not called so, nor one that is not all 100.
func percent(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	share := math.Round(100 * float64(part) / float64(whole))
	switch {
	case share == 0 && part > 0:
		return "< 1 %"
	case share == 100 && part < whole:
		return "> 99 %"
	}
	return fmt.Sprintf("%.0f %%", share)
}

// milliseconds is a time as people write it; nil is none.
func milliseconds(ms *float64) string {
	switch {
	case ms == nil:
		return "-"
	case *ms >= 1000:
		return fmt.Sprintf("%.2f s", *ms/1000)
	case *ms >= 10 || *ms == 0:
		return fmt.Sprintf("%.0f ms", *ms)
	case *ms < 0.05:
		return "< 0.1 ms"
	}
	return fmt.Sprintf("%.1f ms", *ms)
}

func nano(s *manage.UsageSums) int64 {
	if s.NanoUSD == nil {
		return 0
	}
	return *s.NanoUSD
}
