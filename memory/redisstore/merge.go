package redisstore

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/memory"
)

const (
	// indexesAtOnce bounds the indexes that are read in one round trip.
	indexesAtOnce = 256
	// The bounds of what is read of an index at once.
	leastPlaces, mostPlaces, mostSkipped = 16, 512, 8192
)

// Private

// A merge is the indexes of several tenants in the order of a list.
type merge struct {
	client redis.UniversalClient
	idle   time.Time // only places before it; zero: all
	heads  heads     // the indexes that have a place, the first on top
}

// A reader reads the index of a tenant.
type reader struct {
	tenant string
	index  string
	after  *memory.Cursor  // the last place that was read; nil: none
	places []memory.Cursor // that were read and not yet taken
	end    bool            // there are no more to read
	offset int64           // places to pass over: as old as the last, and before it
	count  int64           // of places to read at once
}

// newMerge reads the heads of what a query selects.
func (s *Store) newMerge(ctx context.Context, q *memory.Query) (*merge, error) {
	tenants := []string{q.Tenant}
	if q.AllTenants {
		var err error
		if tenants, err = s.client.SMembers(ctx, s.tenants()).Result(); err != nil {
			return nil, err
		}
	}
	m := &merge{client: s.client, idle: q.IdleSince}
	readers := make([]*reader, len(tenants))
	for i, tenant := range tenants {
		readers[i] = &reader{
			tenant: tenant, index: s.index(tenant), after: q.After,
			count: int64(min(max(q.Limit/len(tenants)+1, leastPlaces), mostPlaces)),
		}
	}
	for some := range slices.Chunk(readers, indexesAtOnce) {
		if err := m.fill(ctx, some); err != nil {
			return nil, err
		}
	}
	m.heads = slices.DeleteFunc(readers, func(r *reader) bool { return len(r.places) == 0 })
	heap.Init(&m.heads)
	return m, nil
}

// next takes the next n places, or fewer at the end.
func (m *merge) next(ctx context.Context, n int) (places []memory.Cursor, err error) {
	for len(places) < n && len(m.heads) > 0 {
		r := m.heads[0]
		places = append(places, r.places[0])
		r.places = r.places[1:]
		if err := m.fill(ctx, []*reader{r}); err != nil {
			return nil, err
		}
		if len(r.places) == 0 {
			heap.Pop(&m.heads)
		} else {
			heap.Fix(&m.heads, 0)
		}
	}
	return places, nil
}

// fill reads on where no place is left, in one round trip for all readers, and
// again while all that was read was passed over.
func (m *merge) fill(ctx context.Context, readers []*reader) error {
	for {
		var short []*reader
		for _, r := range readers {
			if len(r.places) == 0 && !r.end {
				short = append(short, r)
			}
		}
		if len(short) == 0 {
			return nil
		}
		replies := make([]*redis.ZSliceCmd, len(short))
		_, err := m.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, r := range short {
				replies[i] = p.ZRevRangeByScoreWithScores(ctx, r.index, &redis.ZRangeBy{
					Max: r.newest(m.idle), Min: "-inf", Offset: r.offset, Count: r.count,
				})
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, r := range short {
			r.take(replies[i].Val(), m.idle)
		}
	}
}

// newest is the score of the newest place that may be read.
func (r *reader) newest(idle time.Time) string {
	switch {
	case r.after != nil && (idle.IsZero() || r.after.Updated.Before(idle)):
		return strconv.FormatInt(r.after.Updated.UnixMilli(), 10)
	case !idle.IsZero():
		return strconv.FormatInt(idle.UnixMilli(), 10)
	}
	return "+inf"
}

// take keeps what was read, but for what stands no later than the last place.
func (r *reader) take(read []redis.Z, idle time.Time) {
	for _, z := range read {
		session, _ := z.Member.(string)
		place := memory.Cursor{Updated: time.UnixMilli(int64(z.Score)), Key: memory.Key{Tenant: r.tenant, Session: session}}
		if (r.after == nil || order(r.after, &place) < 0) && (idle.IsZero() || place.Updated.Before(idle)) {
			r.places = append(r.places, place)
		}
	}
	r.end = int64(len(read)) < r.count
	if n := len(r.places); n > 0 {
		r.after, r.offset = &r.places[n-1], 0
		return
	}
	r.offset += int64(len(read))
	r.count = min(2*r.count, mostSkipped)
}

// order compares two places in a list.
func order(a, b *memory.Cursor) int {
	return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(b.Key.Session, a.Key.Session), cmp.Compare(b.Key.Tenant, a.Key.Tenant))
}

// heads is a heap of readers that have places.
type heads []*reader

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return order(&h[i].places[0], &h[j].places[0]) < 0 }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(r any)        { *h = append(*h, r.(*reader)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
