package redisstore

import (
	"context"
	"slices"
	"strconv"

	"mnemo/memory"
)

// Delete implements memory.Store.
func (s *Store) Delete(ctx context.Context, key memory.Key) error {
	_, err := s.removeAt(ctx, key, anyTurn)
	return err
}

// DeleteAt implements memory.Store.
func (s *Store) DeleteAt(ctx context.Context, key memory.Key, seq int64) error {
	removed, err := s.removeAt(ctx, key, strconv.FormatInt(seq, 10))
	switch {
	case err != nil:
		return err
	case removed == conflict:
		return memory.ErrConflict
	case removed == missing:
		return memory.ErrNotFound
	}
	return nil
}

// Private

// What a session's last turn must be to be removed, beside a number.
const (
	anyTurn = ""
	noTurn  = "-" // there is no session: only what lists it is removed
)

// Replies of remove.
const (
	missing  = int64(0)
	conflict = int64(-1)
)

func (s *Store) removeAt(ctx context.Context, key memory.Key, last string) (int64, error) {
	if err := s.enter(ctx, key); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	reply, err := s.queue.do(ctx, remove, s.keys(key), last, key.Tenant, key.Session)
	if err != nil {
		return 0, s.failed("delete session", err)
	}
	removed, err := number(reply)
	if err == nil && removed != conflict {
		s.cache.Drop(key)
		s.relist(ctx, key)
	}
	return removed, err
}

// unlist takes sessions that are not there off the index. What fails will be tried
// again by the next who sees them.
func (s *Store) unlist(ctx context.Context, keys []memory.Key) {
	for some := range slices.Chunk(keys, describeAtOnce) {
		if s.client.Cluster {
			s.relist(ctx, some...)
			continue
		}
		calls := make([]*call, len(some))
		for i, key := range some {
			calls[i] = newCall(ctx, remove, s.keys(key), noTurn, key.Tenant, key.Session)
		}
		s.queue.exec(ctx, calls)
	}
}
