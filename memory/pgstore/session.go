package pgstore

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mnemo/memory"
)

// Turns implements memory.Store.
func (s *Store) Turns(ctx context.Context, key memory.Key, before int64, limit int) ([]memory.Turn, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	var turns []memory.Turn
	err := s.enter(ctx, key, "read turns", repeatable, func(ctx context.Context, _ bool) error {
		rows, err := s.pool.Query(ctx, s.sql.turns, key.Tenant, key.Session, s.opts.Now().UnixMilli(), before, max(limit, 0))
		if err != nil {
			return err
		}
		turns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (memory.Turn, error) {
			var seq, supersededBy int64
			var stored text
			if err := row.Scan(&seq, &supersededBy, &stored); err != nil {
				return memory.Turn{}, err
			}
			t, err := memory.DecodeTurn(seq, stored.is)
			t.SupersededBy = supersededBy
			return t, err
		})
		return err
	})
	slices.Reverse(turns)
	return turns, err
}

// Find implements memory.Store. It costs one lookup by index for each link.
func (s *Store) Find(ctx context.Context, key memory.Key, links []memory.Link) (seq int64, err error) {
	wanted := make([]int64, len(links))
	for i := range links {
		wanted[i] = int64(links[i])
	}
	err = s.enter(ctx, key, "find turn", repeatable, func(ctx context.Context, _ bool) error {
		err := s.pool.QueryRow(ctx, s.sql.find, key.Tenant, key.Session, s.opts.Now().UnixMilli(), wanted).Scan(&seq)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return seq, err
}

// Delete implements memory.Store.
func (s *Store) Delete(ctx context.Context, key memory.Key) error {
	return s.enter(ctx, key, "delete session", repeatable, func(ctx context.Context, _ bool) error {
		_, err := s.pool.Exec(ctx, s.sql.remove, key.Tenant, key.Session)
		if err == nil {
			s.cache.Drop(key)
		}
		return err
	})
}

// DeleteAt implements memory.Store.
func (s *Store) DeleteAt(ctx context.Context, key memory.Key, seq int64) error {
	return s.enter(ctx, key, "delete session", once, func(ctx context.Context, _ bool) error {
		var gone, there bool
		err := s.pool.QueryRow(ctx, s.sql.removeAt, key.Tenant, key.Session, s.opts.Now().UnixMilli(), seq).Scan(&gone, &there)
		switch {
		case err != nil:
			return err
		case gone:
			s.cache.Drop(key)
			return nil
		case there:
			return memory.ErrConflict
		}
		return memory.ErrNotFound
	})
}

// Compact implements memory.Store.
func (s *Store) Compact(ctx context.Context, key memory.Key, base memory.Revision, summary *memory.Summary) error {
	var stored []byte
	var upTo int64
	if summary != nil {
		stored, upTo = memory.EncodeSummary(summary), summary.UpTo
	}
	return s.enter(ctx, key, "replace summary", once, func(ctx context.Context, _ bool) error {
		done, err := s.pool.Exec(ctx, s.sql.compact, key.Tenant, key.Session, s.opts.Now().UnixMilli(),
			base.Life, base.Branch, base.Summary, upTo, stored)
		if err == nil && done.RowsAffected() == 0 {
			return memory.ErrConflict
		}
		return err
	})
}

// Lease implements memory.Store. The clock is that of this process.
func (s *Store) Lease(ctx context.Context, key memory.Key, holder string, d time.Duration) (held bool, err error) {
	err = s.enter(ctx, key, "lease session", repeatable, func(ctx context.Context, _ bool) error {
		now := s.opts.Now()
		if d <= 0 {
			_, err := s.pool.Exec(ctx, s.sql.release, key.Tenant, key.Session, now.UnixMilli(), []byte(holder))
			return err
		}
		done, err := s.pool.Exec(ctx, s.sql.lease, key.Tenant, key.Session, now.UnixMilli(), []byte(holder), now.Add(d).UnixMilli())
		held = done.RowsAffected() > 0
		return err
	})
	return held, err
}
