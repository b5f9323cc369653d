package redisledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/ledger"
)

const (
	// tenantsAtOnce is how many tenants are read together, and hoursAtOnce how many of
	// their hours in a round trip.
	tenantsAtOnce = 128
	hoursAtOnce   = 32
	// tries bounds how often tenants are read again because something was rolled up.
	tries = 20
)

// Usage implements ledger.Store. It returns ledger.ErrTooWide beyond 250,000 groups.
func (s *Store) Usage(ctx context.Context, q ledger.Query) (ledger.Report, error) {
	if err := q.Settle(); err != nil {
		return ledger.Report{}, err
	}
	all := newTally(&q)
	err := s.use(ctx, "add up ledger", func() error {
		tenants, err := s.scope(ctx, q.Scope)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(tenants, tenantsAtOnce) {
			if err := s.addTenants(ctx, all, some); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return ledger.Report{}, err
	}
	return all.report(), nil
}

// Private

var errRolling = errors.New("the ledger is being rolled up")

// A span is an hour of a tenant, or a day that was rolled up, and what is read of it.
type span struct {
	keys
	number  int64
	day     bool
	withRow bool // the sums do not tell enough

	sums, rows, sessions *redis.MapStringStringCmd
}

// scope is the tenants of a scope.
func (s *Store) scope(ctx context.Context, of ledger.Scope) ([]string, error) {
	if !of.AllTenants {
		return []string{of.Tenant}, nil
	}
	return s.client.SMembers(ctx, s.tenants()).Result()
}

// addTenants adds what there is of tenants, from one state of each: what is rolled up
// while it is read might be missed, or counted twice, so then it is read again.
func (s *Store) addTenants(ctx context.Context, all *tally, tenants []string) error {
	for range tries {
		some := newTally(all.q)
		spans, before, err := s.spans(ctx, all.q, tenants)
		for chunk := range slices.Chunk(spans, hoursAtOnce) {
			if err == nil {
				err = s.addSpans(ctx, some, chunk)
			}
		}
		if err != nil {
			return err
		}
		after, err := s.rolled(ctx, tenants)
		if err != nil {
			return err
		}
		if slices.Equal(before, after) {
			return all.merge(some)
		}
	}
	return errRolling
}

// spans is what is to be read of tenants, and how often each was rolled up.
func (s *Store) spans(ctx context.Context, q *ledger.Query, tenants []string) (spans []span, rolled []string, err error) {
	if rolled, err = s.rolled(ctx, tenants); err != nil {
		return nil, nil, err
	}
	from, to := q.Range()
	hours, days := make([]*redis.StringSliceCmd, len(tenants)), make([]*redis.StringSliceCmd, len(tenants))
	err = s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, tenant := range tenants {
			k := s.keys(tenant)
			hours[i] = p.ZRangeByScore(ctx, k.hours(), between(from/hour, (to-1)/hour))
			days[i] = p.ZRangeByScore(ctx, k.days(), between((from+day-1)/day, (to-1)/day))
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for i, tenant := range tenants {
		k := s.keys(tenant)
		hours, err := parseAll(hours[i].Val())
		if err != nil {
			return nil, nil, err
		}
		for _, h := range hours {
			cut := h*hour < from || h >= to/hour
			spans = append(spans, span{keys: k, number: h, withRow: cut || q.Session != "" || q.By(ledger.BySession)})
		}
		days, err := parseAll(days[i].Val())
		if err != nil {
			return nil, nil, err
		}
		for _, d := range days {
			spans = append(spans, span{keys: k, number: d, day: true})
		}
	}
	return spans, rolled, nil
}

func between(first, last int64) *redis.ZRangeBy {
	return &redis.ZRangeBy{Min: strconv.FormatInt(first, 10), Max: strconv.FormatInt(last, 10)}
}

func (s *Store) rolled(ctx context.Context, tenants []string) ([]string, error) {
	gets := make([]*redis.StringCmd, len(tenants))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, tenant := range tenants {
			gets[i] = p.Get(ctx, s.keys(tenant).rolled())
		}
	})
	rolled := make([]string, len(gets))
	for i, get := range gets {
		rolled[i] = get.Val()
	}
	return rolled, err
}

// addSpans reads spans in one round trip and adds them.
func (s *Store) addSpans(ctx context.Context, t *tally, spans []span) error {
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i := range spans {
			x := &spans[i]
			if x.day {
				x.sums = p.HGetAll(ctx, x.ofDay(x.number))
				continue
			}
			x.sums = p.HGetAll(ctx, x.keys.sums(x.number))
			if x.withRow {
				x.rows, x.sessions = p.HGetAll(ctx, x.keys.rows(x.number)), p.HGetAll(ctx, x.keys.sessions(x.number))
			}
		}
	})
	for i := 0; i < len(spans) && err == nil; i++ {
		x := &spans[i]
		if x.withRow && len(x.rows.Val()) > 0 {
			err = t.addRows(x)
		} else { // or its rows expired, and only their sums are left
			err = t.addSums(x)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", x.began().Format(time.RFC3339), err)
		}
	}
	return err
}

func (x *span) began() time.Time {
	if x.day {
		return time.UnixMilli(x.number * day).UTC()
	}
	return time.UnixMilli(x.number * hour).UTC()
}
