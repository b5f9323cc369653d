package redisstore

import (
	"context"
	"strings"

	"mnemo/memory"
)

// describeAtOnce bounds the sessions that are read in one round trip.
const describeAtOnce = 256

// Sessions implements memory.Store. Sessions that a version before the index
// wrote are listed from their next turn on.
func (s *Store) Sessions(ctx context.Context, q memory.Query) ([]memory.Info, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	if q.Limit < 1 {
		return nil, nil
	}
	found, err := s.list(ctx, &q)
	if err != nil {
		return nil, s.failed("list sessions", err)
	}
	return found, nil
}

// Private

func (s *Store) list(ctx context.Context, q *memory.Query) (found []memory.Info, err error) {
	m, err := s.newMerge(ctx, q)
	if err != nil {
		return nil, err
	}
	var ghosts []memory.Key
	defer func() { s.unlist(ctx, ghosts) }()
	search := memory.Fold(q.Search)
	for len(found) < q.Limit {
		n := describeAtOnce
		if search == "" {
			n = min(n, q.Limit-len(found))
		}
		places, err := m.next(ctx, n)
		if err != nil || len(places) == 0 {
			return found, err
		}
		keys := make([]memory.Key, len(places))
		for i := range places {
			keys[i] = places[i].Key
		}
		infos, err := s.describe(ctx, keys)
		if err != nil {
			return nil, err
		}
		for i, info := range infos {
			switch {
			case info == nil:
				ghosts = append(ghosts, keys[i])
			case len(found) < q.Limit && (strings.Contains(memory.Fold(info.Title), search) || strings.Contains(memory.Fold(info.Key.Session), search)):
				info.Updated = places[i].Updated // the next page begins there
				found = append(found, *info)
			}
		}
	}
	return found, nil
}
