package ledger_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mnemo/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the shelf is down")

// A shelf is a store in memory that can be made to fail, as a database does.
type shelf struct {
	ledger.Store // the methods that a writer does not call

	mu      sync.Mutex
	batches [][]ledger.Entry
	down    bool
	unsure  bool          // batches are kept, and an error returned
	slow    time.Duration // that a batch takes
	tried   []time.Time
	rolled  []time.Time
	forgot  []string
}

func (s *shelf) Append(ctx context.Context, entries []ledger.Entry) error {
	var slow time.Duration
	s.set(func(s *shelf) { s.tried, slow = append(s.tried, time.Now()), s.slow })
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	s.batches = append(s.batches, slices.Clone(entries))
	if s.unsure {
		return errDown
	}
	return nil
}

func (s *shelf) Forget(_ context.Context, tenant, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgot = append(s.forgot, tenant+"/"+session)
	return nil
}

func (s *shelf) Roll(_ context.Context, before time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rolled = append(s.rolled, before)
	if s.down {
		return errDown
	}
	return nil
}

func (s *shelf) set(change func(s *shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// sizes are those of the batches.
func (s *shelf) sizes() (sizes []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// kept are the entries, each once, in the order of their first arrival.
func (s *shelf) kept() (all []ledger.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[ledger.UID]bool{}
	for _, e := range slices.Concat(s.batches...) {
		if !seen[e.UID] {
			seen[e.UID], all = true, append(all, e)
		}
	}
	return all
}
