package redisledger

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"mnemo/ledger"
)

// Call implements ledger.Store. It asks each hour in which a tenant of the scope has
// calls, thousands in a round trip.
func (s *Store) Call(ctx context.Context, of ledger.Scope, id string) ([]ledger.Entry, error) {
	if err := of.Check(); err != nil {
		return nil, err
	}
	id = ledger.Plain(id)
	var found []ledger.Entry
	err := s.use(ctx, "find call in ledger", func() error {
		tenants, err := s.scope(ctx, of)
		if err != nil {
			return err
		}
		places, err := s.places(ctx, tenants, id)
		if err != nil {
			return err
		}
		found, err = s.fetch(ctx, places, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b ledger.Entry) int { return b.Time.Compare(a.Time) })
	return found[:min(len(found), ledger.MaxCalls)], nil
}

// Private

// lookups bounds the short commands of a round trip.
const lookups = 4096

// A place is where a call is kept.
type place struct {
	keys
	hour int64
	uid  string
}

// places are those of the calls with an id.
func (s *Store) places(ctx context.Context, tenants []string, id string) (found []place, err error) {
	var all []place
	for some := range slices.Chunk(tenants, lookups) {
		hours := make([]*redis.StringSliceCmd, len(some))
		err := s.pipelined(ctx, func(p redis.Pipeliner) {
			for i, tenant := range some {
				hours[i] = p.ZRange(ctx, s.keys(tenant).hours(), 0, -1)
			}
		})
		if err != nil {
			return nil, err
		}
		for i, tenant := range some {
			numbers, err := parseAll(hours[i].Val())
			if err != nil {
				return nil, err
			}
			for _, h := range numbers {
				all = append(all, place{keys: s.keys(tenant), hour: h})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b place) int { return int(b.hour - a.hour) }) // the newest first
	for some := range slices.Chunk(all, lookups) {
		uids := make([]*redis.StringCmd, len(some))
		err := s.pipelined(ctx, func(p redis.Pipeliner) {
			for i, at := range some {
				uids[i] = p.HGet(ctx, at.ids(at.hour), id)
			}
		})
		if err != nil {
			return nil, err
		}
		for i, at := range some {
			const size = len(ledger.UID{})
			for text := uids[i].Val(); len(text) >= size; text = text[size:] {
				at.uid = text[:size]
				found = append(found, at)
			}
		}
		if len(found) >= ledger.MaxCalls {
			break
		}
	}
	return found, nil
}

// fetch reads calls. Those that were rolled up meanwhile are left out.
func (s *Store) fetch(ctx context.Context, places []place, id string) (found []ledger.Entry, err error) {
	for some := range slices.Chunk(places, pipeline) {
		var rows, entries, sessions []*redis.StringCmd
		err := s.pipelined(ctx, func(p redis.Pipeliner) {
			for _, at := range some {
				rows = append(rows, p.HGet(ctx, at.rows(at.hour), at.uid))
				entries = append(entries, p.HGet(ctx, at.entries(at.hour), at.uid))
				sessions = append(sessions, p.HGet(ctx, at.sessions(at.hour), at.uid))
			}
		})
		if err != nil {
			return nil, err
		}
		for i, at := range some {
			if rows[i].Val() == "" || entries[i].Val() == "" {
				continue
			}
			g, _, err := decodeRow(rows[i].Val())
			if err != nil {
				return nil, err
			}
			e := ledger.Entry{ID: id, Time: g.Time, Tenant: at.tenant, Session: sessions[i].Val()}
			copy(e.UID[:], at.uid)
			if err := ledger.DecodeEntry([]byte(entries[i].Val()), &e); err != nil {
				return nil, err
			}
			found = append(found, e)
		}
	}
	return found, nil
}
