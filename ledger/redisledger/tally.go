package redisledger

import "mnemo/ledger"

// maxGroups bounds what is added up in memory, about 100 MB of it.
const maxGroups = 250_000

// Private

// A tally adds calls up by group.
type tally struct {
	q      *ledger.Query
	groups map[ledger.Group]*ledger.Sums
}

func newTally(q *ledger.Query) *tally {
	return &tally{q: q, groups: map[ledger.Group]*ledger.Sums{}}
}

// addRows adds single calls.
func (t *tally) addRows(x *span) error {
	sessions := x.sessions.Val()
	for uid, text := range x.rows.Val() {
		g, sums, err := decodeRow(text)
		if err != nil {
			return err
		}
		g.Tenant, g.Session = x.tenant, sessions[uid]
		if to, err := t.group(g); err != nil {
			return err
		} else if to != nil {
			to.Add(&sums)
		}
	}
	return nil
}

// addSums adds all of a span, as if it were at its beginning.
func (t *tally) addSums(x *span) error {
	began := x.began()
	for field, text := range x.sums.Val() {
		column, g, err := decodeCounter(field)
		if err != nil {
			return err
		}
		value, err := parseAll([]string{text})
		if err != nil {
			return err
		}
		g.Tenant, g.Time = x.tenant, began
		to, err := t.group(g)
		if err != nil {
			return err
		}
		if to == nil {
			continue
		}
		if values := to.Values(); column < len(values) {
			*values[column] += value[0]
		}
	}
	return nil
}

// group is the sums to which calls belong; nil if they are not asked for.
func (t *tally) group(g ledger.Group) (*ledger.Sums, error) {
	q := t.q
	if other(q.Model, g.Model) || other(q.Session, g.Session) || other(q.Upstream, g.Upstream) || other(q.Key, g.Key) || other(q.Operation, g.Operation) {
		return nil, nil
	}
	from, to := q.Range()
	if at := g.Time.UnixMilli(); at < from || at >= to {
		return nil, nil
	}
	return t.sums(g.In(q))
}

func (t *tally) sums(g ledger.Group) (*ledger.Sums, error) {
	if t.groups[g] == nil {
		if len(t.groups) == maxGroups {
			return nil, ledger.ErrTooWide
		}
		t.groups[g] = &ledger.Sums{}
	}
	return t.groups[g], nil
}

func (t *tally) merge(other *tally) error {
	for g, sums := range other.groups {
		to, err := t.sums(g)
		if err != nil {
			return err
		}
		to.Add(sums)
	}
	return nil
}

func (t *tally) report() ledger.Report {
	r := ledger.Report{Groups: len(t.groups)}
	for g, sums := range t.groups {
		r.Rows = append(r.Rows, ledger.Row{Group: g, Sums: *sums})
		r.Total.Add(sums)
	}
	r.Finish(t.q)
	return r
}

func other(filter, value string) bool { return filter != "" && filter != value }
