package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mnemo/ledger"
	"mnemo/proxy/manage"
)

const (
	maxTrendBy   = 3              // dimensions that the API groups by
	trendColumns = 30             // of a sparkline, at most
	trendHours   = 72 * time.Hour // up to which a column is an hour, not a day
)

// A trend is how groups of calls went over time.
type trend struct {
	title string // what a column of it stands for
	lines map[string][]int64
}

// Private

// total is all lines together.
func (t *trend) total() string {
	var sums []int64
	for _, line := range t.lines {
		if sums == nil {
			sums = make([]int64, len(line))
		}
		for i, v := range line {
			sums[i] += v
		}
	}
	return sparkline(sums)
}

// trend asks how the groups of a report went. It is nil if nothing can be seen of it.
func (c *apiClient) trend(ctx context.Context, asked url.Values, report *manage.UsageReport, now time.Time) (*trend, error) {
	query := maps.Clone(asked)
	unit := ledger.ByDay
	if report.From != nil && until(report, now).Sub(report.From.Time) <= trendHours {
		unit = ledger.ByHour
	}
	query.Set("group_by", asked.Get("group_by")+","+string(unit))
	query.Set("order", "time")
	query.Set("limit", strconv.Itoa(ledger.MaxRows))
	var rows manage.UsageReport
	if _, err := c.json(ctx, usageCall(query), &rows); err != nil {
		return nil, err
	}
	if rows.Groups > len(rows.Rows) {
		return nil, nil
	}
	return newTrend(&rows, report.GroupBy, now), nil
}

// until is when the time of a report ends.
func until(r *manage.UsageReport, now time.Time) time.Time {
	if r.To != nil && r.To.Before(now) {
		return r.To.Time
	}
	return now
}

// newTrend puts rows, which are in order of time, into columns.
func newTrend(r *manage.UsageReport, by []ledger.Dimension, now time.Time) *trend {
	unit, name := 24*time.Hour, "DAY"
	if slices.Contains(r.GroupBy, ledger.ByHour) {
		unit, name = time.Hour, "HOUR"
	}
	starts := make([]time.Time, len(r.Rows))
	for i := range r.Rows {
		starts[i] = beginOf(r.Rows[i].Group)
	}
	if len(starts) == 0 || slices.ContainsFunc(starts, time.Time.IsZero) {
		return nil
	}
	last := until(r, now).Add(-1)
	if end := starts[len(starts)-1]; end.After(last) { // the clocks differ
		last = end
	}
	from := starts[0]
	if r.From != nil && last.Sub(r.From.Time) < trendColumns*unit { // else much of it may be empty
		from = r.From.UTC().Truncate(unit)
	}
	units := int(last.Sub(from)/unit) + 1
	each := (units + trendColumns - 1) / trendColumns
	money := r.Total.NanoUSD != nil && *r.Total.NanoUSD > 0
	t := &trend{title: trendTitle(money, name, each), lines: map[string][]int64{}}
	for i := range r.Rows {
		row := &r.Rows[i]
		group := groupKey(row.Group, by)
		if t.lines[group] == nil {
			t.lines[group] = make([]int64, (units+each-1)/each)
		}
		if at := int(starts[i].Sub(from)/unit) / each; at >= 0 && at < len(t.lines[group]) {
			t.lines[group][at] += weight(&row.UsageSums, money)
		}
	}
	return t
}

func trendTitle(money bool, unit string, each int) string {
	what := "TOKENS"
	if money {
		what = "COST"
	}
	if each > 1 {
		return fmt.Sprintf("%s BY %d %sS", what, each, unit)
	}
	return what + " BY " + unit
}

// beginOf is when the day or the hour of a group begins; zero: it is of none.
func beginOf(group map[ledger.Dimension]string) time.Time {
	for _, d := range []ledger.Dimension{ledger.ByDay, ledger.ByHour} {
		if at, err := time.Parse(time.RFC3339, group[d]); err == nil {
			return at
		}
	}
	return time.Time{}
}

// groupKey is what tells a group from the others of a report.
func groupKey(group map[ledger.Dimension]string, by []ledger.Dimension) string {
	parts := make([]string, len(by))
	for i, d := range by {
		parts[i] = strconv.Quote(group[d])
	}
	return strings.Join(parts, ",")
}

// weight is what bars show: what calls cost, or, where nothing did, their tokens.
func weight(s *manage.UsageSums, money bool) int64 {
	if !money {
		return s.Tokens.Input + s.Tokens.Output
	}
	if s.NanoUSD == nil {
		return 0
	}
	return *s.NanoUSD
}

// sparkline draws values as columns, the greatest in full height; nothing is a dot.
func sparkline(values []int64) string {
	const blocks = "▁▂▃▄▅▆▇█"
	steps := []rune(blocks)
	greatest := max(slices.Max(values), 1)
	var s strings.Builder
	for _, v := range values {
		if v <= 0 {
			s.WriteRune('·')
			continue
		}
		height := int(math.Ceil(float64(v) / float64(greatest) * float64(len(steps))))
		s.WriteRune(steps[min(max(height, 1), len(steps))-1])
	}
	return s.String()
}

// bar draws a share of so many columns; one that is not 0 can be seen.
func bar(share float64, columns int) string {
	const parts = "▏▎▍▌▋▊▉█"
	if !(share > 0) { // nor a number that is none
		return ""
	}
	eighths := max(int(math.Round(min(share, 1)*float64(8*columns))), 1)
	text := strings.Repeat("█", eighths/8)
	if eighths%8 > 0 {
		text += string([]rune(parts)[eighths%8-1])
	}
	return text
}
