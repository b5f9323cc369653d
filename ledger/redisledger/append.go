package redisledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/ledger"
)

const (
	// together bounds the entries of one run of a script, which nobody can interrupt.
	together = 64
	// pipeline bounds the commands of a round trip.
	pipeline = 256
)

// Append implements ledger.Store. If it fails, some entries of the batch may be kept.
func (s *Store) Append(ctx context.Context, entries []ledger.Entry) error {
	if err := ledger.CheckEntries(entries); err != nil || len(entries) == 0 {
		return err
	}
	runs, tenants, err := s.runs(entries)
	if err != nil {
		return err
	}
	return s.use(ctx, "append to ledger", func() error {
		if err := s.client.SAdd(ctx, s.tenants(), tenants...).Err(); err != nil {
			return err
		}
		for some := range slices.Chunk(runs, pipeline) {
			if err := s.run(ctx, add, some); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget implements ledger.Store. Redis' append-only file keeps the id until it is rewritten.
func (s *Store) Forget(ctx context.Context, tenant, session string) error {
	if session == "" {
		return nil
	}
	k := s.keys(tenant)
	return s.use(ctx, "forget session in ledger", func() error {
		hours, err := s.numbers(ctx, k.hours())
		if err != nil {
			return err
		}
		for some := range slices.Chunk(hours, pipeline) {
			var runs []run
			for _, h := range some {
				runs = append(runs, run{[]string{k.sessions(h)}, []any{session}})
			}
			if err := s.run(ctx, forget, runs); err != nil {
				return err
			}
		}
		return nil
	})
}

// Roll implements ledger.Store, hour by hour, each in one step.
func (s *Store) Roll(ctx context.Context, before time.Time) error {
	end := ledger.Day(before).UnixMilli() / hour
	return s.use(ctx, "roll up ledger", func() error {
		tenants, err := s.client.SMembers(ctx, s.tenants()).Result()
		for i := 0; i < len(tenants) && err == nil; i++ {
			err = s.roll(ctx, s.keys(tenants[i]), end)
		}
		return err
	})
}

// Private

// runs are the runs of add for a batch: one for each tenant and hour, or more.
func (s *Store) runs(entries []ledger.Entry) (runs []run, tenants []any, err error) {
	type place struct {
		tenant string
		hour   int64
	}
	last, seen := map[place]int{}, map[string]bool{}
	for i := range entries {
		e := &entries[i]
		if !seen[e.Tenant] {
			seen[e.Tenant], tenants = true, append(tenants, e.Tenant)
		}
		p := place{e.Tenant, hourOf(e)}
		at, ok := last[p]
		if !ok || len(runs[at].args) > together*perEntry {
			k := s.keys(e.Tenant)
			at, last[p] = len(runs), len(runs)
			runs = append(runs, run{
				keys: []string{k.hours(), k.sums(p.hour), k.rows(p.hour), k.entries(p.hour), k.sessions(p.hour), k.ids(p.hour)},
				args: []any{p.hour, s.ttl, ledger.MaxCalls},
			})
		}
		text, err := ledger.EncodeEntry(e)
		if err != nil {
			return nil, nil, err
		}
		r, counters := &runs[at], countersOf(e)
		r.args = append(r.args, string(e.UID[:]), encodeRow(e), e.Session, e.ID, text, len(counters))
		for _, c := range counters {
			r.args = append(r.args, c.field, c.value)
		}
	}
	return runs, tenants, nil
}

// perEntry is about how many arguments an entry has.
const perEntry = 40

func (s *Store) roll(ctx context.Context, k keys, end int64) error {
	hours, err := s.client.ZRangeByScore(ctx, k.hours(), &redis.ZRangeBy{Min: "-inf", Max: "(" + strconv.FormatInt(end, 10)}).Result()
	if err != nil {
		return err
	}
	for some := range slices.Chunk(hours, pipeline) {
		var runs []run
		for _, text := range some {
			h, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return fmt.Errorf("an hour is %q: %w", text, err)
			}
			runs = append(runs, run{
				keys: []string{k.hours(), k.days(), k.rolled(), k.sums(h), k.ofDay(h / 24), k.rows(h), k.entries(h), k.sessions(h), k.ids(h)},
				args: []any{h, h / 24},
			})
		}
		if err := s.run(ctx, roll, runs); err != nil {
			return err
		}
	}
	return nil
}

// numbers are the members of a sorted set of hours.
func (s *Store) numbers(ctx context.Context, key string) ([]int64, error) {
	texts, err := s.client.ZRange(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, err
	}
	return parseAll(texts)
}

func parseAll(texts []string) ([]int64, error) {
	numbers := make([]int64, len(texts))
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errDamaged
		}
		numbers[i] = n
	}
	return numbers, nil
}
