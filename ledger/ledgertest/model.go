package ledgertest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mnemo/ledger"
)

// start is a Monday in the past, at 13:00.
var start = time.Date(2026, 3, 2, 13, 0, 0, 0, time.UTC)

// span is the time in which random calls began.
const span = 4 * 24 * time.Hour

// A model is what a store should be: calls in a slice.
type model struct{ calls []ledger.Entry }

// Entry makes a random entry. Its UID is made of n.
func Entry(r *rand.Rand, n uint64) ledger.Entry {
	pick := func(texts ...string) string { return texts[r.IntN(len(texts))] }
	chance := func(percent int) bool { return r.IntN(100) < percent }
	e := ledger.Entry{
		ID: fmt.Sprint("id", r.IntN(50)), Time: start.Add(time.Duration(r.Int64N(int64(span)))),
		Tenant: pick("a", "a", "b", "c", ""), Session: pick("", "s1", "s2", "s3", "s4"),
		Operation: pick(ledger.OperationChat, ledger.OperationSummarize), ModelAsked: pick("m1", "m2", "m3"), ModelUsed: pick("", "m1", "x\x1fy:0", "M1"),
		Upstream: pick("", "u1", "u2"), Key: pick("", "k1", "k2"),
		Measured: chance(70), Priced: chance(80), Cost: r.Int64N(1 << 43),
		Latency: time.Duration(r.Int64N(1e12)), Status: []int{200, 200, 200, 400, 499, 502}[r.IntN(6)],
		Error: pick("", "", "", "timeout"), Stream: chance(50), Cached: chance(10), Degraded: chance(5),
		Memory: ledger.Memory{Status: pick("", "ok"), Turns: r.IntN(10), Tokens: r.IntN(9000), Dropped: r.IntN(20), Summary: pick("none", "used")},
		Phases: ledger.Phases{Load: time.Duration(r.Int64N(1e9)), Upstream: time.Duration(r.Int64N(1e11))},
	}
	if chance(80) {
		e.Usage = ledger.Usage{Input: r.Int64N(1 << 32), CachedInput: r.Int64N(100), CacheWrite: r.Int64N(100), Output: r.Int64N(1e6),
			Reasoning: r.Int64N(100), AudioInput: r.Int64N(2), AudioOutput: r.Int64N(2)}
	}
	if e.Stream {
		e.FirstToken = time.Duration(r.Int64N(1e11))
	}
	if chance(60) {
		e.FullKnown, e.FullInput, e.FullCost, e.FullCostCached = true, r.Int64N(1<<32), r.Int64N(1<<43), r.Int64N(1<<43)
	}
	for i := range r.IntN(3) {
		e.Attempts = append(e.Attempts, ledger.Attempt{Upstream: fmt.Sprint("u", i), Model: e.ModelUsed, Outcome: "ok", Status: 200,
			Start: time.Duration(r.Int64N(1e9)), Duration: time.Second, Hedge: i > 0, Usage: e.Usage, Cost: e.Cost, Priced: true})
	}
	binary.BigEndian.PutUint64(e.UID[8:], n+1)
	e.Bound()
	return e
}

// entries makes n of them, with UIDs that follow each other.
func entries(r *rand.Rand, first uint64, n int) []ledger.Entry {
	all := make([]ledger.Entry, n)
	for i := range all {
		all[i] = Entry(r, first+uint64(i))
	}
	return all
}

// query makes a random query.
func query(r *rand.Rand) ledger.Query {
	chance := func(percent int) bool { return r.IntN(100) < percent }
	q := ledger.Query{Scope: everybody, ByTime: chance(30)}
	if chance(60) {
		q.Scope = ledger.Scope{Tenant: []string{"a", "b", "none"}[r.IntN(3)]}
	}
	moment := func() time.Time {
		at := start.Add(time.Duration(r.Int64N(int64(span))))
		switch r.IntN(3) {
		case 0:
			return ledger.Day(at)
		case 1:
			return ledger.Hour(at).In(time.FixedZone("", 3600))
		}
		return at
	}
	if chance(60) {
		q.From = moment()
	}
	if chance(60) {
		q.To = moment()
	}
	dimensions := ledger.Dimensions()
	r.Shuffle(len(dimensions), func(i, j int) { dimensions[i], dimensions[j] = dimensions[j], dimensions[i] })
	for _, d := range dimensions[:r.IntN(4)] {
		if (d == ledger.ByDay || d == ledger.ByHour) && (q.By(ledger.ByDay) || q.By(ledger.ByHour)) {
			continue
		}
		q.GroupBy = append(q.GroupBy, d)
	}
	for _, f := range []struct {
		filter *string
		values []string
	}{{&q.Model, []string{"m1", "x\x1fy:0"}}, {&q.Session, []string{"s1", "s9"}}, {&q.Upstream, []string{"u1"}}, {&q.Key, []string{"k2"}}, {&q.Operation, []string{"chat"}}} {
		if chance(15) {
			*f.filter = f.values[r.IntN(len(f.values))]
		}
	}
	if chance(30) {
		q.Limit = 1 + r.IntN(5)
	}
	return q
}

// usage answers a query in the simplest way.
func (m *model) usage(q ledger.Query) (report ledger.Report) {
	if err := q.Settle(); err != nil {
		panic(err)
	}
	groups := map[ledger.Group]*ledger.Sums{}
	for i := range m.calls {
		e := &m.calls[i]
		switch {
		case !q.AllTenants && e.Tenant != q.Tenant,
			!q.From.IsZero() && e.Time.Before(q.From), !q.To.IsZero() && !e.Time.Before(q.To),
			other(q.Model, e.Model()), other(q.Session, e.Session), other(q.Upstream, e.Upstream), other(q.Key, e.Key), other(q.Operation, e.Operation):
			continue
		}
		g := ledger.Group{Time: e.Time, Tenant: e.Tenant, Session: e.Session, Operation: e.Operation, Model: e.Model(), Upstream: e.Upstream, Key: e.Key}.In(&q)
		if groups[g] == nil {
			groups[g] = &ledger.Sums{}
		}
		sums := ledger.SumsOf(e)
		groups[g].Add(&sums)
		report.Total.Add(&sums)
	}
	for g, sums := range groups {
		report.Rows = append(report.Rows, ledger.Row{Group: g, Sums: *sums})
	}
	report.Groups = len(groups)
	report.Finish(&q)
	return report
}

func other(filter, value string) bool { return filter != "" && filter != value }

// roll does to the calls what rolling up does to sums.
func (m *model) roll(before time.Time) {
	for i := range m.calls {
		if e := &m.calls[i]; e.Time.Before(ledger.Day(before)) {
			e.Time, e.Session, e.ID = ledger.Day(e.Time), "", ""
		}
	}
}

func (m *model) forget(tenant, session string) {
	for i := range m.calls {
		if e := &m.calls[i]; e.Tenant == tenant && e.Session == session {
			e.Session = ""
		}
	}
}

// call are the calls with an id that are not rolled up, by UID.
func (m *model) call(of ledger.Scope, id string) (found []ledger.Entry) {
	for _, e := range m.calls {
		if e.ID == id && (of.AllTenants || e.Tenant == of.Tenant) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, byUID)
	return found
}

func byUID(a, b ledger.Entry) int { return slices.Compare(a.UID[:], b.UID[:]) }
