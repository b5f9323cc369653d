package redisstore

import (
	"context"
	"time"

	"mnemo/memory"
)

// Compact implements memory.Store.
func (s *Store) Compact(ctx context.Context, key memory.Key, base memory.Revision, sum *memory.Summary) error {
	if err := s.enter(ctx, key); err != nil {
		return err
	}
	defer s.mu.RUnlock()
	var text []byte
	var upTo int64
	if sum != nil {
		text, upTo = memory.EncodeSummary(sum), sum.UpTo
	}
	done, err := s.queue.do(ctx, compact, []string{s.key(key)}, base.Life, base.Branch, base.Summary, text, upTo)
	if err != nil {
		return s.failed("compact session", err)
	}
	if done != any(yes) {
		return memory.ErrConflict
	}
	return nil
}

// Lease implements memory.Store, by the clock of Redis.
func (s *Store) Lease(ctx context.Context, key memory.Key, holder string, d time.Duration) (bool, error) {
	if err := s.enter(ctx, key); err != nil {
		return false, err
	}
	defer s.mu.RUnlock()
	long := (d + time.Millisecond - 1).Milliseconds() // the shortest is 1 ms
	held, err := s.queue.do(ctx, lease, []string{s.key(key)}, holder, long)
	if err != nil {
		return false, s.failed("lease session", err)
	}
	return held == any(yes), nil
}

// Private

// yes is the reply of a script that did what it was told.
const yes = int64(1)
