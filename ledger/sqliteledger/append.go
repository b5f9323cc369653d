package sqliteledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/ledger"
	"mnemo/ledger/internal/statement"
)

// Append implements ledger.Store: all of a batch is kept, or nothing of it.
func (s *Store) Append(ctx context.Context, entries []ledger.Entry) error {
	if err := ledger.CheckEntries(entries); err != nil {
		return err
	}
	bodies := make([]string, len(entries))
	for i := range entries {
		text, err := ledger.EncodeEntry(&entries[i])
		if err != nil {
			return err
		}
		bodies[i] = string(text)
	}
	return s.write(ctx, "append to ledger", func(w *writer) error {
		known := names{}
		for i := range entries {
			if err := w.append(&entries[i], bodies[i], known); err != nil {
				return err
			}
		}
		return nil
	})
}

// Roll implements ledger.Store, an hour of calls at a time, so that nobody waits for long.
func (s *Store) Roll(ctx context.Context, before time.Time) error {
	end := ledger.Day(before).UnixMilli()
	for hours := 0; ; hours++ {
		more := false
		err := s.write(ctx, "roll up ledger", func(w *writer) (err error) {
			if more, err = w.roll(end); err == nil && !more && hours > 0 {
				err = w.dropNames()
			}
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// Private

var (
	texts = statement.Dialect{
		Mark: "?", Calls: "calls", Days: "days",
		Session: "name IN (SELECT names.name FROM names WHERE hash = hash_of(%[1]s) AND session = %[1]s)",
	}
	insert = `INSERT INTO lines (` + strings.Replace(strings.Join(statement.Call, ", "), "session", "name", 1) + `)
		VALUES (?` + strings.Repeat(", ?", len(statement.Call)-1) + `) ON CONFLICT (uid) DO NOTHING`
	rollUp = texts.Roll("lines", "at >= ?1 AND at < ?2")
)

func (w *writer) append(e *ledger.Entry, body string, known names) (err error) {
	name, err := w.name(e.Tenant, e.Session, known)
	if err != nil {
		return err
	}
	q, err := w.conn.Prepare(insert)
	if err != nil {
		return err
	}
	at, dimensions, sums := statement.Values(e)
	q.BindBytes(1, e.UID[:])
	q.BindInt64(2, at)
	next := 3
	for _, text := range dimensions {
		q.BindText(next, text)
		next++
	}
	q.BindInt64(4, name)
	for _, n := range sums {
		q.BindInt64(next, n)
		next++
	}
	if _, err = q.Step(); err != nil {
		_ = q.Reset() // it says the same
		return err
	}
	added := w.conn.Changes() > 0
	if err := q.Reset(); err != nil || !added {
		return err
	}
	return sqlitex.Execute(w.conn, `INSERT INTO entries (call, entry) VALUES (?, ?)`,
		&sqlitex.ExecOptions{Args: []any{w.conn.LastInsertRowID(), body}})
}

// roll rolls up the first hour that has calls, if it began before end, and reports
// whether it did.
func (w *writer) roll(end int64) (bool, error) {
	first := int64(-1)
	err := sqlitex.Execute(w.conn, `SELECT at FROM lines WHERE at < ? ORDER BY at LIMIT 1`, &sqlitex.ExecOptions{
		Args:       []any{end},
		ResultFunc: func(q *sqlite.Stmt) error { first = q.ColumnInt64(0); return nil },
	})
	if err != nil || first < 0 {
		return false, err
	}
	began := ledger.Hour(time.UnixMilli(first))
	span := []any{began.UnixMilli(), began.Add(time.Hour).UnixMilli()}
	if err := sqlitex.Execute(w.conn, rollUp, &sqlitex.ExecOptions{Args: span}); err != nil {
		return false, fmt.Errorf("add up %s: %w", began.Format(time.RFC3339), err)
	}
	return true, sqlitex.Execute(w.conn, `DELETE FROM lines WHERE at >= ? AND at < ?`, &sqlitex.ExecOptions{Args: span})
}
