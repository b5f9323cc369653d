package sqlitestore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// infoColumns of sessions and titles are what infoOf reads.
const infoColumns = headColumns + `, tenant, name, title, created_at, updated_at, expires_at, input, cached_input, output, cost, priced`

// Info implements memory.FullStore.
func (s *Store) Info(ctx context.Context, key memory.Key) (memory.Info, error) {
	if err := key.Check(); err != nil {
		return memory.Info{}, err
	}
	var info memory.Info
	err := s.read(ctx, func(r *reader) error {
		return r.snapshot(func() (err error) {
			info, err = r.info(key, s.now())
			return err
		})
	})
	if err != nil {
		return memory.Info{}, fmt.Errorf("describe session: %w", err)
	}
	return info, nil
}

// Sessions implements memory.FullStore. Pages of one tenant's sessions are read by an
// index. Those of all tenants are sorted first, and a search looks at one title
// after another.
func (s *Store) Sessions(ctx context.Context, q memory.Query) ([]memory.Info, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	query, args := listing(&q, s.now())
	var list []memory.Info
	err := s.read(ctx, func(r *reader) error {
		return sqlitex.Execute(r.conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(row *sqlite.Stmt) error {
			info, _ := infoOf(row)
			list = append(list, info)
			return nil
		}})
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// Private

// listing is the statement for a query. It has one of few texts, which the
// connection keeps prepared.
func listing(q *memory.Query, now int64) (query string, args []any) {
	var b strings.Builder
	b.WriteString(`SELECT ` + infoColumns + ` FROM sessions JOIN titles ON session = id WHERE (expires_at = 0 OR expires_at > ?)`)
	args = append(args, now)
	where := func(condition string, values ...any) {
		b.WriteString(` AND ` + condition)
		args = append(args, values...)
	}
	if !q.AllTenants {
		where(`tenant = ?`, q.Tenant)
	}
	if q.Search != "" {
		search := memory.Fold(q.Search)
		where(`(instr(folded, ?) > 0 OR instr(lower(name), ?) > 0)`, search, search)
	}
	if !q.IdleSince.IsZero() {
		where(`updated_at < ?`, q.IdleSince.UnixMilli())
	}
	if q.After != nil {
		where(`(updated_at, name, tenant) < (?, ?, ?)`, q.After.Updated.UnixMilli(), q.After.Key.Session, q.After.Key.Tenant)
	}
	b.WriteString(` ORDER BY updated_at DESC, name DESC, tenant DESC LIMIT ?`)
	return b.String(), append(args, max(q.Limit, 0))
}

func (r *reader) info(key memory.Key, now int64) (info memory.Info, err error) {
	h := head{}
	err = sqlitex.Execute(r.conn, `SELECT `+infoColumns+` FROM sessions JOIN titles ON session = id
		WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?)`,
		&sqlitex.ExecOptions{Args: []any{key.Tenant, key.Session, now}, ResultFunc: func(row *sqlite.Stmt) error {
			info, h.Head = infoOf(row)
			return nil
		}})
	if err == nil && h.Revision.Life == 0 {
		err = memory.ErrNotFound
	}
	if err == nil {
		err = r.instructions(&h)
	}
	if err == nil {
		info.System, info.Persona = h.System, h.Persona
		info.Summary, err = r.summary(h.Revision)
	}
	return info, err
}

// infoOf reads infoColumns.
func infoOf(row *sqlite.Stmt) (memory.Info, memory.Head) {
	h := headOf(row)
	info := memory.Info{
		Key:     memory.Key{Tenant: row.ColumnText(9), Session: row.ColumnText(10)},
		Title:   row.ColumnText(11),
		Created: time.UnixMilli(row.ColumnInt64(12)),
		Updated: time.UnixMilli(row.ColumnInt64(13)),
		Seq:     h.Seq,
		Totals:  h.Totals,
		Spent: memory.Spent{
			Input: row.ColumnInt64(15), CachedInput: row.ColumnInt64(16), Output: row.ColumnInt64(17),
			Cost: row.ColumnInt64(18), Unpriced: h.Seq - row.ColumnInt64(19),
		},
	}
	if expires := row.ColumnInt64(14); expires > 0 {
		info.Expires = time.UnixMilli(expires)
	}
	return info, h
}
