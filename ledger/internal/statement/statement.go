// Package statement has the texts that the ledgers of SQL databases share. Both have
// the tables
//
//   - calls: at (milliseconds since 1970), the dimensions tenant, session, operation, model,
//     upstream and key_label, and the columns of ledger.Sums, over one call;
//   - days: the same of days that were rolled up, but for the session.
package statement

import (
	"fmt"
	"slices"
	"strings"

	"mnemo/ledger"
)

const (
	hour = 3_600_000 // milliseconds
	day  = 24 * hour
)

// A Dialect is what databases write differently.
type Dialect struct {
	Mark    string // before a parameter's number
	Calls   string // the names of the tables
	Days    string
	Session string // what is true of calls of a session; %s is the parameter
}

// Columns of the tables, in the order in which they are written and read.
var (
	Dimensions = []string{"tenant", "session", "operation", "model", "upstream", "key_label"}
	Call       = slices.Concat([]string{"uid", "at"}, Dimensions, []string{"id"}, ledger.Columns())
	rolled     = slices.Delete(slices.Clone(Dimensions), 1, 2)
)

// Usage is the statement that answers a query, which is settled, and its arguments. Its
// rows are: 0 for a group and 1 for the total, the number of groups, at (or -1), the Dimensions,
// and the columns of ledger.Sums. They are in no order.
func (d Dialect) Usage(q *ledger.Query) (text string, args []any) {
	calls, args := d.where(q, args)
	source := `SELECT at, ` + list(Dimensions) + `, ` + list(ledger.Columns()) + ` FROM ` + d.Calls + ` WHERE ` + calls
	if q.Session == "" {
		source += ` UNION ALL SELECT at, tenant, '', ` + list(rolled[1:]) + `, ` + list(ledger.Columns()) +
			` FROM ` + d.Days + ` WHERE ` + calls
	}
	selected, grouping := d.grouping(q)
	order := `cost DESC, calls DESC, at, ` + list(Dimensions)
	if q.ByTime {
		order = `at, ` + order
	}
	return `WITH grouped AS MATERIALIZED (
			SELECT ` + selected + `, ` + sums("coalesce(sum(%[1]s), 0)") + ` FROM (` + source + `) AS source` + grouping + `),
		top AS (SELECT * FROM grouped WHERE calls > 0 ORDER BY ` + order + fmt.Sprintf(` LIMIT %d)`, q.Limit) + `
		SELECT 0, 0, at, ` + list(Dimensions) + `, ` + list(ledger.Columns()) + ` FROM top
		UNION ALL SELECT 1, count(*), -1, '', '', '', '', '', '', ` + sums("coalesce(sum(%[1]s), 0)") + ` FROM grouped WHERE calls > 0`, args
}

// Roll adds the calls of a table up to days, in the columns of days.
func (d Dialect) Roll(from, where string) string {
	return `INSERT INTO ` + d.Days + ` AS old (at, ` + list(rolled) + `, ` + list(ledger.Columns()) + `)
		SELECT at - at % ` + fmt.Sprint(day) + ` AS day, ` + list(rolled) + `, ` + sums("sum(%[1]s)") + `
		FROM ` + from + ` WHERE ` + where + ` GROUP BY day, ` + list(rolled) + `
		ON CONFLICT (at, ` + list(rolled) + `) DO UPDATE SET ` + each(ledger.Columns(), "%[1]s = old.%[1]s + excluded.%[1]s")
}

// Private

// where is true of what a query selects, in calls and, but for the session, in days.
func (d Dialect) where(q *ledger.Query, args []any) (string, []any) {
	from, to := q.Range()
	args = append(args, from, to)
	terms := []string{"at >= " + d.Mark + "1", "at < " + d.Mark + "2"}
	for _, f := range []struct{ term, value string }{
		{"tenant = %s", q.Tenant}, {d.Session, q.Session}, {"model = %s", q.Model},
		{"upstream = %s", q.Upstream}, {"key_label = %s", q.Key}, {"operation = %s", q.Operation},
	} {
		if f.value != "" {
			args = append(args, f.value)
			terms = append(terms, fmt.Sprintf(f.term, d.Mark+fmt.Sprint(len(args))))
		}
	}
	return strings.Join(terms, " AND "), args
}

// grouping is the columns of a group, those it is not grouped by empty, and its clause.
func (d Dialect) grouping(q *ledger.Query) (selected, clause string) {
	var groups []string
	step := 0
	switch {
	case q.By(ledger.ByHour):
		step = hour
	case q.By(ledger.ByDay):
		step = day
	}
	selected = "CAST(-1 AS BIGINT) AS at"
	if step > 0 {
		truncated := fmt.Sprintf("at - at %% %d", step)
		selected, groups = truncated+" AS at", append(groups, truncated)
	}
	for i, dimension := range []ledger.Dimension{
		ledger.ByTenant, ledger.BySession, ledger.ByOperation, ledger.ByModel, ledger.ByUpstream, ledger.ByKey,
	} {
		column := Dimensions[i]
		if !q.By(dimension) {
			selected += ", '' AS " + column
			continue
		}
		selected += ", " + column
		groups = append(groups, column)
	}
	if len(groups) == 0 {
		return selected, ""
	}
	return selected, " GROUP BY " + list(groups)
}

// sums adds up each column of ledger.Sums, exactly: PostgreSQL's sums of bigint are numeric.
func sums(expression string) string {
	return each(ledger.Columns(), "CAST("+expression+" AS BIGINT) AS %[1]s")
}

func list(columns []string) string { return strings.Join(columns, ", ") }

func each(columns []string, format string) string {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = fmt.Sprintf(format, c)
	}
	return list(texts)
}
