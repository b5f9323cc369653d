package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrEntry means that an entry has no UID.
var ErrEntry = errors.New("invalid entry of the ledger")

// A Store keeps entries. Implementations are safe for concurrent use by many
// goroutines and many processes.
type Store interface {
	// Append keeps entries: all, or, if it returns an error, all, some or none. Entries that
	// are kept already are left as they are, so a batch whose fate is not known is
	// appended again. They must have a UID, else it returns ErrEntry, and be bounded
	// (see Entry.Bound).
	Append(ctx context.Context, entries []Entry) error

	// Usage adds calls up. It returns ErrQuery or ErrTooWide. What an Append returned
	// for is in it.
	Usage(ctx context.Context, q Query) (Report, error)

	// Call returns the calls with an id, the newest first, at most MaxCalls; none is
	// not an error. Calls that were rolled up are not found. It returns ErrQuery.
	Call(ctx context.Context, of Scope, id string) ([]Entry, error)

	// Forget takes a session's id out of its calls. Their figures stay.
	Forget(ctx context.Context, tenant, session string) error

	// Roll rolls up all days (UTC) that ended before a time: their calls are added up to
	// one row for each day, tenant, operation, model, upstream and key, and deleted.
	// Sums of whole days stay what they are, but for those by session or hour.
	// Several processes may do this at once.
	Roll(ctx context.Context, before time.Time) error

	// Ping returns nil if the store can be read and written.
	Ping(ctx context.Context) error

	Close() error
}

// Spent is the sums over the calls that a query selects, whatever it groups by.
// Budgets begin with it.
func Spent(ctx context.Context, s Store, q Query) (Sums, error) {
	q.GroupBy = nil
	r, err := s.Usage(ctx, q)
	return r.Total, err
}

// CheckEntries returns ErrEntry if one of the entries has no UID. A store does this
// first.
func CheckEntries(entries []Entry) error {
	for i := range entries {
		if entries[i].UID == (UID{}) {
			return fmt.Errorf("%w: it has no UID", ErrEntry)
		}
	}
	return nil
}
