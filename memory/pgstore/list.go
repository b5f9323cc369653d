package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mnemo/memory"
)

// Info implements memory.Store.
func (s *Store) Info(ctx context.Context, key memory.Key) (memory.Info, error) {
	var info memory.Info
	err := s.enter(ctx, key, "describe session", repeatable, func(ctx context.Context, _ bool) error {
		var system, persona, summary text
		var version int64
		row := s.pool.QueryRow(ctx, s.sql.info, key.Tenant, key.Session, s.opts.Now().UnixMilli())
		err := scan(row, &info, &system, &persona, &version, &summary)
		if errors.Is(err, pgx.ErrNoRows) {
			return memory.ErrNotFound
		}
		if err != nil {
			return err
		}
		info.System, info.Persona = system.is, persona.is
		info.Summary, err = summaryOf(version, summary)
		return err
	})
	if err != nil {
		return memory.Info{}, err
	}
	return info, nil
}

// Sessions implements memory.Store. A search reads the titles of all sessions
// of the tenant.
func (s *Store) Sessions(ctx context.Context, q memory.Query) ([]memory.Info, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	var page []memory.Info
	err := s.use(ctx, "list sessions", repeatable, func(ctx context.Context, _ bool) error {
		statement, args := listing(&q, s.opts.Now())
		rows, err := s.pool.Query(ctx, in(s.schema, statement), args...)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (info memory.Info, err error) {
			return info, scan(row, &info)
		})
		return err
	})
	return page, err
}

// Private

// listing is the statement of a query and its arguments.
func listing(q *memory.Query, now time.Time) (statement string, args []any) {
	var b strings.Builder
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprint("$", len(args))
	}
	b.WriteString(`SELECT ` + described + ` FROM mnemo.sessions JOIN mnemo.details ON session = id
		WHERE (expires_at = 0 OR expires_at > ` + arg(now.UnixMilli()) + `)`)
	if !q.AllTenants {
		b.WriteString(` AND tenant = ` + arg(q.Tenant))
	}
	if q.Search != "" {
		part := arg([]byte(memory.Fold(q.Search)))
		b.WriteString(` AND (position(` + part + ` IN folded) > 0 OR position(` + part + ` IN convert_to(lower(name), 'UTF8')) > 0)`)
	}
	if !q.IdleSince.IsZero() { // in whole milliseconds, rounded up
		b.WriteString(` AND updated_at < ` + arg(q.IdleSince.Add(time.Millisecond-1).UnixMilli()))
	}
	if after := q.After; after != nil {
		b.WriteString(` AND (updated_at, name, tenant) < (` + arg(after.Updated.UnixMilli()) + `, ` +
			arg(after.Key.Session) + `, ` + arg(after.Key.Tenant) + `)`)
	}
	b.WriteString(` ORDER BY updated_at DESC, name DESC, tenant DESC LIMIT ` + arg(max(q.Limit, 0)))
	return b.String(), args
}

// scan reads the columns that are described, and those that follow.
func scan(row pgx.Row, info *memory.Info, further ...any) error {
	var title text
	var created, updated, expires int64
	totals, spent := &info.Totals, &info.Spent
	err := row.Scan(append([]any{
		&info.Key.Tenant, &info.Key.Session, &title, &created, &updated, &expires, &info.Seq,
		&totals.Turns, &totals.Messages, &totals.Groups, &totals.Tokens, &totals.Bytes,
		&spent.Input, &spent.CachedInput, &spent.Output, &spent.Cost, &spent.Unpriced,
	}, further...)...)
	info.Title, info.Created, info.Updated = title.is, time.UnixMilli(created), time.UnixMilli(updated)
	if expires > 0 {
		info.Expires = time.UnixMilli(expires)
	}
	return err
}
