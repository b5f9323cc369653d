package sqlitestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// relisting is how far a session's place in lists lags behind its last turn, at most,
// in milliseconds.
const relisting = int64(5 * time.Minute / time.Millisecond)

// infoColumns of sessions and titles are what infoOf reads.
const infoColumns = headColumns + `, tenant, name, title, created_at, updated_at, expires_at, input, cached_input, output, cost, priced`

// Info implements memory.Store.
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

// Sessions implements memory.Store. A search looks at one title after another.
func (s *Store) Sessions(ctx context.Context, q memory.Query) (list []memory.Info, err error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	if q.Limit < 1 {
		return nil, nil
	}
	err = s.read(ctx, func(r *reader) (err error) {
		list, err = r.list(&q, s.now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}

// Private

// errListed ends a statement.
var errListed = errors.New("enough is listed")

// list reads sessions in the order of listed_at. When there are as many as the limit
// and from there on, one that was used later than the last of them is found within
// the time that a place in lists lags behind.
func (r *reader) list(q *memory.Query, now int64) (list []memory.Info, err error) {
	query, args := listing(q, now)
	end := int64(math.MinInt64)
	err = sqlitex.Execute(r.conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(row *sqlite.Stmt) error {
		listedAt := row.ColumnInt64(20)
		if listedAt <= end {
			return errListed
		}
		info, _ := infoOf(row)
		if list = append(list, info); len(list) == 2*q.Limit {
			list = newest(list, q.Limit)
		}
		if len(list) == q.Limit {
			end = max(end, listedAt-relisting)
		}
		return nil
	}})
	if errors.Is(err, errListed) {
		err = nil
	}
	return newest(list, q.Limit), err
}

// newest sorts a list and cuts it.
func newest(list []memory.Info, limit int) []memory.Info {
	slices.SortFunc(list, func(a, z memory.Info) int {
		return cmp.Or(z.Updated.Compare(a.Updated), cmp.Compare(z.Key.Session, a.Key.Session), cmp.Compare(z.Key.Tenant, a.Key.Tenant))
	})
	return list[:min(len(list), limit)]
}

// listing is the statement for a query. It has one of few texts, which the
// connection keeps prepared.
func listing(q *memory.Query, now int64) (query string, args []any) {
	var b strings.Builder
	b.WriteString(`SELECT ` + infoColumns + `, listed_at FROM sessions JOIN titles ON session = id WHERE (expires_at = 0 OR expires_at > ?)`)
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
		since := q.IdleSince.UnixMilli()
		where(`listed_at < ? AND updated_at < ?`, since, since)
	}
	if c := q.After; c != nil {
		updated := c.Updated.UnixMilli()
		where(`listed_at <= ? AND (updated_at, name, tenant) < (?, ?, ?)`, updated, updated, c.Key.Session, c.Key.Tenant)
	}
	b.WriteString(` ORDER BY listed_at DESC`)
	return b.String(), args
}

// relist puts a session to its place in lists.
func (w *writer) relist(session int64) error {
	return sqlitex.Execute(w.conn, `UPDATE sessions SET listed_at = updated_at WHERE id = ?`, &sqlitex.ExecOptions{Args: []any{session}})
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
