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
		for i := range entries {
			if err := w.append(&entries[i], bodies[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget implements ledger.Store. The id is overwritten in the file, and the write-ahead
// log beside it emptied, at once or, while somebody reads, after one of the next changes.
func (s *Store) Forget(ctx context.Context, tenant, session string) error {
	if session == "" {
		return nil
	}
	return s.write(ctx, "forget session in ledger", func(w *writer) error {
		w.erasing = true
		return sqlitex.Execute(w.conn, `UPDATE calls SET session = '' WHERE tenant = ? AND session = ? AND session <> ''`,
			&sqlitex.ExecOptions{Args: []any{tenant, session}})
	})
}

// Roll implements ledger.Store, one day at a time, so that nobody waits for long.
func (s *Store) Roll(ctx context.Context, before time.Time) error {
	end := ledger.Day(before).UnixMilli()
	for more := true; more; {
		err := s.write(ctx, "roll up ledger", func(w *writer) (err error) {
			more, err = w.roll(end)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Private

var (
	insert = `INSERT INTO calls (` + strings.Join(statement.Calls, ", ") + `)
		VALUES (?` + strings.Repeat(", ?", len(statement.Calls)-1) + `) ON CONFLICT (uid) DO NOTHING`
	rollUp = texts.Roll("calls", "at >= ?1 AND at < ?2")
)

func (w *writer) append(e *ledger.Entry, body string) (err error) {
	q, err := w.conn.Prepare(insert)
	if err != nil {
		return err
	}
	at, dimensions, sums := statement.Call(e)
	q.BindBytes(1, e.UID[:])
	q.BindInt64(2, at)
	next := 3
	for _, text := range dimensions {
		q.BindText(next, text)
		next++
	}
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

// roll rolls up the first day that has calls, if it began before end, and reports
// whether it did.
func (w *writer) roll(end int64) (bool, error) {
	first := int64(-1)
	err := sqlitex.Execute(w.conn, `SELECT at FROM calls WHERE at < ? ORDER BY at LIMIT 1`, &sqlitex.ExecOptions{
		Args:       []any{end},
		ResultFunc: func(q *sqlite.Stmt) error { first = q.ColumnInt64(0); return nil },
	})
	if err != nil || first < 0 {
		return false, err
	}
	day := ledger.Day(time.UnixMilli(first))
	span := []any{day.UnixMilli(), day.Add(24 * time.Hour).UnixMilli()}
	if err := sqlitex.Execute(w.conn, rollUp, &sqlitex.ExecOptions{Args: span}); err != nil {
		return false, fmt.Errorf("add up %s: %w", day.Format(time.DateOnly), err)
	}
	err = sqlitex.Execute(w.conn, `DELETE FROM calls WHERE at >= ? AND at < ?`, &sqlitex.ExecOptions{Args: span})
	w.erasing = true
	return true, err
}
