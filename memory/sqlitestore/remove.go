package sqlitestore

import (
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	// portioned bounds what one transaction removes, in bytes, those of one turn
	// excepted: what a row is beside its text counts as rowCost, and a session's own
	// rows as sessionCost.
	portioned   = 1 << 19
	rowCost     = 1 << 10
	sessionCost = 1 << 15
)

// A portion is what a transaction has removed, in bytes.
type portion int64

// Private

// rows is how many more of them there is room for.
func (p portion) rows() int64 { return max(0, portioned-int64(p)) / rowCost }

// remove removes a session, as far as the portion goes, and reports whether something is left.
// The tables that have few rows of each session are left to their keys, which cascade.
func (w *writer) remove(session int64, p *portion) (left bool, err error) {
	if session == 0 {
		return false, nil
	}
	w.erasing = true
	if err := w.removeTurns(session, p); err != nil {
		return false, err
	}
	for _, query := range []string{
		`DELETE FROM superseded WHERE session = ?1 AND seq IN (SELECT seq FROM superseded WHERE session = ?1 LIMIT ?2)`,
		`DELETE FROM links WHERE session = ?1 AND (link, seq) IN (SELECT link, seq FROM links WHERE session = ?1 LIMIT ?2)`,
	} {
		if err := sqlitex.Execute(w.conn, query, &sqlitex.ExecOptions{Args: []any{session, p.rows()}}); err != nil {
			return false, err
		}
		*p += portion(w.conn.Changes() * rowCost)
	}
	if p.rows() == 0 {
		return true, nil
	}
	*p += sessionCost
	return false, sqlitex.Execute(w.conn, `DELETE FROM sessions WHERE id = ?`, &sqlitex.ExecOptions{Args: []any{session}})
}

// removeTurns removes the oldest ones.
func (w *writer) removeTurns(session int64, p *portion) error {
	last := int64(0)
	err := sqlitex.Execute(w.conn, `SELECT seq, octet_length(turn) FROM turns WHERE session = ? ORDER BY seq LIMIT ?`, &sqlitex.ExecOptions{
		Args: []any{session, p.rows()},
		ResultFunc: func(q *sqlite.Stmt) error {
			if p.rows() > 0 {
				last = q.ColumnInt64(0)
				*p += portion(rowCost + q.ColumnInt64(1))
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	return sqlitex.Execute(w.conn, `DELETE FROM turns WHERE session = ? AND seq <= ?`, &sqlitex.ExecOptions{Args: []any{session, last}})
}
