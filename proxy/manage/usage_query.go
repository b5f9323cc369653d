package manage

import (
	"slices"
	"strings"

	"mnemo/ledger"
)

// Private

const (
	// maxDimensions bounds what is grouped by at once.
	maxDimensions = 3

	formatJSON = "json"
	formatCSV  = "csv"
)

// usageParams are the parameters of the route.
var usageParams = []string{
	"from", "to", "since", "group_by", "model", "session", "upstream", "key", "operation", "order", "limit", "format", "tenant", "all",
}

// usageQuery reads which calls are to be added up, how, and in which format the answer
// is to be.
func (r *request) usageQuery() (q ledger.Query, format string, err error) {
	if q.Scope, err = r.scope(); err != nil {
		return q, "", err
	}
	if err := r.span(&q); err != nil {
		return q, "", err
	}
	if q.GroupBy, err = r.dimensions(); err != nil {
		return q, "", err
	}
	for _, filter := range []struct {
		name string
		into *string
	}{{"model", &q.Model}, {"session", &q.Session}, {"upstream", &q.Upstream}, {"key", &q.Key}} {
		if *filter.into, err = r.word(filter.name, ledger.MaxText); err != nil {
			return q, "", err
		}
	}
	if q.Operation, err = r.choice("operation", "", ledger.OperationChat, ledger.OperationSummarize); err != nil {
		return q, "", err
	}
	order, err := r.choice("order", "cost", "cost", "time")
	if err != nil {
		return q, "", err
	}
	if q.ByTime = order == "time"; q.ByTime && !q.By(ledger.ByDay) && !q.By(ledger.ByHour) {
		return q, "", invalid("order", "order is time only where group_by has day or hour")
	}
	limit, err := r.number("limit", ledger.MaxRows, ledger.DefaultRows)
	if err != nil {
		return q, "", err
	}
	q.Limit = int(limit)
	format, err = r.choice("format", formatJSON, formatJSON, formatCSV)
	return q, format, err
}

// span reads from when to when the calls began.
func (r *request) span(q *ledger.Query) (err error) {
	begin := "from"
	if _, given := r.param("since"); given {
		if _, twice := r.param(begin); twice {
			return invalid("since", "since is another name of from: send one of them")
		}
		begin = "since"
	}
	if q.From, err = r.moment(begin); err != nil {
		return err
	}
	if q.To, err = r.moment("to"); err != nil {
		return err
	}
	if !q.To.IsZero() && !q.From.Before(q.To) {
		return invalid("to", "to is not after %s", begin)
	}
	return nil
}

// dimensions reads what is grouped by.
func (r *request) dimensions() (by []ledger.Dimension, err error) {
	text, given := r.param("group_by")
	if !given {
		return nil, nil
	}
	known := ledger.Dimensions()
	for name := range strings.SplitSeq(text, ",") {
		d := ledger.Dimension(name)
		if len(by) == maxDimensions || !slices.Contains(known, d) || slices.Contains(by, d) {
			return nil, invalidDimensions(known)
		}
		by = append(by, d)
	}
	if slices.Contains(by, ledger.ByDay) && slices.Contains(by, ledger.ByHour) {
		return nil, invalidDimensions(known)
	}
	return by, nil
}

func invalidDimensions(known []ledger.Dimension) error {
	names := make([]string, len(known))
	for i, d := range known {
		names[i] = string(d)
	}
	return invalid("group_by", "group_by is up to %d different ones of %s, with commas between them, and not day and hour together",
		maxDimensions, strings.Join(names, ", "))
}
