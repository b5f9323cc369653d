package ledger

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Bounds of queries.
const (
	DefaultRows = 1000
	MaxRows     = 10_000
	MaxCalls    = 100 // with one id
)

// Errors of queries.
var (
	// ErrQuery means that a query cannot be answered as it stands.
	ErrQuery = errors.New("invalid query of the ledger")
	// ErrTooWide means that a query has too many groups to be added up.
	ErrTooWide = errors.New("the query has too many groups; ask for a shorter time or for fewer dimensions")
)

// A Dimension is something to group by.
type Dimension string

// The dimensions.
const (
	ByModel     Dimension = "model" // see Entry.Model
	BySession   Dimension = "session"
	ByTenant    Dimension = "tenant"
	ByUpstream  Dimension = "upstream"
	ByKey       Dimension = "key"
	ByOperation Dimension = "operation"
	ByDay       Dimension = "day"  // of UTC
	ByHour      Dimension = "hour" // of UTC
)

// Dimensions are all of them.
func Dimensions() []Dimension {
	return []Dimension{ByModel, BySession, ByTenant, ByUpstream, ByKey, ByOperation, ByDay, ByHour}
}

// A Scope says whose calls are meant: one tenant's, or, spelt out, everybody's.
// Calls without a tenant are in the latter only.
type Scope struct {
	Tenant     string // "" with AllTenants
	AllTenants bool
}

// Check returns ErrQuery for a scope that is neither.
func (s Scope) Check() error {
	if (s.Tenant == "") != s.AllTenants {
		return fmt.Errorf("%w: it must name one tenant", ErrQuery)
	}
	return nil
}

// A Query selects calls and says how to add them up.
//
// Where calls were rolled up, days stand for them: their sessions are not known any
// more, and all of a day counts as its first moment. So what begins and ends with a
// day is exact however old it is.
type Query struct {
	Scope
	From, To time.Time   // calls that began in [From, To); zero: without a bound
	GroupBy  []Dimension // none: all in one row

	// Filters; "" is no filter.
	Model, Session, Upstream, Key, Operation string

	ByTime bool // rows in order of time; else, and among equals, the dearest first
	Limit  int  // of rows; 0: DefaultRows, at most MaxRows
}

// Settle checks a query and fills in what it leaves out. It returns ErrQuery. A
// store does this first.
func (q *Query) Settle() error {
	if err := q.Check(); err != nil {
		return err
	}
	for i, d := range q.GroupBy {
		if !slices.Contains(Dimensions(), d) {
			return fmt.Errorf("%w: there is no dimension %q", ErrQuery, Plain(string(d)))
		}
		if slices.Contains(q.GroupBy[:i], d) || d == ByHour && q.By(ByDay) {
			return fmt.Errorf("%w: it is grouped by %s twice", ErrQuery, d)
		}
	}
	if q.Limit < 0 || q.Limit > MaxRows {
		return fmt.Errorf("%w: its limit is %d, more than %d rows", ErrQuery, q.Limit, MaxRows)
	}
	if q.Limit == 0 {
		q.Limit = DefaultRows
	}
	for _, text := range []*string{&q.Model, &q.Session, &q.Upstream, &q.Key, &q.Operation} {
		*text = Plain(*text)
	}
	return nil
}

// By reports whether the query groups by a dimension.
func (q *Query) By(d Dimension) bool { return slices.Contains(q.GroupBy, d) }

// Range is From and To in milliseconds since 1970: from is in it, to is not.
func (q *Query) Range() (from, to int64) {
	to = math.MaxInt64
	if !q.From.IsZero() {
		from = max(ceil(q.From), 0)
	}
	if !q.To.IsZero() {
		to = ceil(q.To)
	}
	return from, to
}

// Day is the first moment of a time's day (UTC).
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Hour is the first moment of a time's hour (UTC).
func Hour(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// Private

// ceil is the first millisecond that is not before a time.
func ceil(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}
