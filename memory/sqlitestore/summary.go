package sqlitestore

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// Compact implements memory.Store.
func (s *Store) Compact(ctx context.Context, key memory.Key, base memory.Revision, sum *memory.Summary) error {
	if err := key.Check(); err != nil {
		return err
	}
	if err := s.write(ctx, func(w *writer) error { return w.compact(key, s.now(), base, sum) }); err != nil {
		return fmt.Errorf("compact session: %w", err)
	}
	return nil
}

// Private

func (w *writer) compact(key memory.Key, now int64, base memory.Revision, sum *memory.Summary) error {
	err := sqlitex.Execute(w.conn, `UPDATE sessions SET summaries = summaries + 1
		WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?) AND id = ? AND branch = ? AND summaries = ?`,
		&sqlitex.ExecOptions{Args: []any{key.Tenant, key.Session, now, base.Life, base.Branch, base.Summary}})
	if err != nil {
		return err
	}
	if w.conn.Changes() == 0 {
		return memory.ErrConflict
	}
	return w.summarize(base.Life, sum)
}

// summarize replaces a session's summary; nil removes it.
func (w *writer) summarize(session int64, sum *memory.Summary) error {
	if sum == nil {
		return sqlitex.Execute(w.conn, `DELETE FROM summaries WHERE session = ?`, &sqlitex.ExecOptions{Args: []any{session}})
	}
	return sqlitex.Execute(w.conn, `INSERT INTO summaries (session, up_to, summary) VALUES (?, ?, ?)
		ON CONFLICT (session) DO UPDATE SET up_to = excluded.up_to, summary = excluded.summary`,
		&sqlitex.ExecOptions{Args: []any{session, sum.UpTo, string(memory.EncodeSummary(sum))}})
}

// summary reads the one at a revision; nil if there is none.
func (r *reader) summary(at memory.Revision) (sum *memory.Summary, err error) {
	err = sqlitex.Execute(r.conn, `SELECT summary FROM summaries WHERE session = ?`, &sqlitex.ExecOptions{
		Args: []any{at.Life},
		ResultFunc: func(q *sqlite.Stmt) (err error) {
			sum, err = memory.DecodeSummary(at.Summary, q.ColumnText(0))
			return err
		},
	})
	return sum, err
}
