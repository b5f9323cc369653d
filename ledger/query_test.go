package ledger_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"mnemo/ledger"
)

func TestQuery_Range_takes_whole_milliseconds(t *testing.T) {
	at := time.UnixMilli(5000)
	for _, tt := range []struct {
		from, to         time.Time
		wantFrom, wantTo int64
	}{
		{time.Time{}, time.Time{}, 0, math.MaxInt64},
		{at, at, 5000, 5000},
		{at.Add(1), at.Add(-1), 5001, 5000}, // a call at 5000 is not after 5000.000001, and is before nothing earlier
		{time.Unix(-5, 0), at.Add(time.Millisecond - 1), 0, 5001},
	} {
		q := ledger.Query{From: tt.from, To: tt.to}
		if from, to := q.Range(); from != tt.wantFrom || to != tt.wantTo {
			t.Errorf("[%v, %v) is [%d, %d), want [%d, %d)", tt.from, tt.to, from, to, tt.wantFrom, tt.wantTo)
		}
	}
}

func TestGroup_In_keeps_what_is_grouped_by(t *testing.T) {
	at := time.Date(2026, 3, 2, 23, 30, 0, 0, time.FixedZone("", -3600)) // half past midnight of the 3rd in UTC
	all := ledger.Group{Time: at, Tenant: "t", Session: "s", Operation: "o", Model: "m", Upstream: "u", Key: "k"}
	for d, want := range map[ledger.Dimension]ledger.Group{
		ledger.ByModel: {Model: "m"}, ledger.BySession: {Session: "s"}, ledger.ByTenant: {Tenant: "t"}, ledger.ByUpstream: {Upstream: "u"},
		ledger.ByKey: {Key: "k"}, ledger.ByOperation: {Operation: "o"},
		ledger.ByDay:  {Time: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)},
		ledger.ByHour: {Time: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)},
	} {
		q := ledger.Query{GroupBy: []ledger.Dimension{d}}
		if got := all.In(&q); got != want {
			t.Errorf("by %s: %+v, want %+v", d, got, want)
		}
	}
	if got := all.In(&ledger.Query{}); got != (ledger.Group{}) {
		t.Errorf("by nothing: %+v", got)
	}
}

func TestReport_Finish_orders_and_cuts(t *testing.T) {
	row := func(hour int, model string, cost, calls int64) ledger.Row {
		return ledger.Row{Group: ledger.Group{Time: time.Unix(int64(hour)*3600, 0).UTC(), Model: model}, Sums: ledger.Sums{Cost: cost, Calls: calls}}
	}
	rows := []ledger.Row{row(1, "b", 5, 1), row(3, "a", 9, 1), row(1, "a", 5, 1), row(2, "c", 5, 3)}
	for byTime, want := range map[bool]string{false: "acab", true: "abca"} {
		r, models := ledger.Report{Rows: slices.Clone(rows)}, ""
		r.Finish(&ledger.Query{ByTime: byTime, Limit: 4})
		for _, row := range r.Rows {
			models += row.Model
		}
		if models != want {
			t.Errorf("by time %v: %s, want %s", byTime, models, want)
		}
		if r.Finish(&ledger.Query{ByTime: byTime, Limit: 3}); len(r.Rows) != 3 {
			t.Errorf("%d rows after a cut", len(r.Rows))
		}
	}
}
