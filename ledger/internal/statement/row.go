package statement

import (
	"time"

	"mnemo/ledger"
)

// A Row is what Usage selects, on its way into a report.
type Row struct {
	Kind, Groups, At int64
	ledger.Row
}

// Targets are where the columns of a row go: numbers first, then texts, then numbers.
func (r *Row) Targets() (numbers []*int64, texts []*string, sums []*int64) {
	g := &r.Group
	return []*int64{&r.Kind, &r.Groups, &r.At},
		[]*string{&g.Tenant, &g.Session, &g.Operation, &g.Model, &g.Upstream, &g.Key},
		r.Values()
}

// Into adds the row to a report.
func (r *Row) Into(report *ledger.Report) {
	if r.Kind == 1 {
		report.Total, report.Groups = r.Sums, int(r.Groups)
		return
	}
	if r.At >= 0 {
		r.Time = time.UnixMilli(r.At).UTC()
	}
	report.Rows = append(report.Rows, r.Row)
}

// Values are those of Call, but for the first, the UID: the time, texts and numbers.
func Values(e *ledger.Entry) (at int64, texts []string, sums []int64) {
	s := ledger.SumsOf(e)
	for _, v := range s.Values() {
		sums = append(sums, *v)
	}
	return e.Time.UnixMilli(), []string{e.Tenant, e.Session, e.Operation, e.Model(), e.Upstream, e.Key, e.ID}, sums
}
