package ledger

import (
	"cmp"
	"slices"
	"time"
)

// A Group is what the calls of a Row have in common: what they are grouped by is
// set, the rest is zero.
type Group struct {
	Time      time.Time `json:"time,omitzero"` // where the hour or the day begins, in UTC
	Tenant    string    `json:"tenant,omitempty"`
	Session   string    `json:"session,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Model     string    `json:"model,omitempty"`
	Upstream  string    `json:"upstream,omitempty"`
	Key       string    `json:"key,omitempty"`
}

// A Row is the sums over a group of calls.
type Row struct {
	Group
	Sums
}

// A Report answers a Query.
type Report struct {
	GroupBy []Dimension
	Rows    []Row
	Total   Sums // of all groups, those beyond the limit included
	Groups  int  // how many there are, of which Rows are the first
}

// Finish puts the rows in the query's order and cuts them at its limit. A store
// does this last.
func (r *Report) Finish(q *Query) {
	r.GroupBy = q.GroupBy
	slices.SortFunc(r.Rows, func(a, b Row) int {
		if q.ByTime {
			if c := a.Time.Compare(b.Time); c != 0 {
				return c
			}
		}
		return cmp.Or(
			cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Calls, a.Calls), a.Time.Compare(b.Time),
			cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.Model, b.Model), cmp.Compare(a.Upstream, b.Upstream), cmp.Compare(a.Key, b.Key))
	})
	r.Rows = r.Rows[:min(len(r.Rows), q.Limit)]
}

// In is what of a group a query groups by.
func (g Group) In(q *Query) Group {
	var in Group
	for _, d := range q.GroupBy {
		switch d {
		case ByModel:
			in.Model = g.Model
		case BySession:
			in.Session = g.Session
		case ByTenant:
			in.Tenant = g.Tenant
		case ByUpstream:
			in.Upstream = g.Upstream
		case ByKey:
			in.Key = g.Key
		case ByOperation:
			in.Operation = g.Operation
		case ByDay:
			in.Time = Day(g.Time)
		case ByHour:
			in.Time = Hour(g.Time)
		}
	}
	return in
}
