package sqlitestore

import (
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// Private

// within reports whether a span lies in the log before the turn. That of a turn
// whose session was deleted meanwhile need not.
func within(span memory.Span, seq int64) bool {
	return 1 <= span.First && span.First <= span.Last && span.Last < seq
}

// withoutSpan is the text of an ordinary turn.
func withoutSpan(t memory.Turn) string {
	t.Supersedes = memory.Span{}
	return string(memory.EncodeTurn(&t))
}

// supersede marks the turns in place of which one stands, takes them from the
// totals, and forgets the summary if it covers the beginning of the span.
func (w *writer) supersede(a *appending) error {
	session, by := a.head.Revision.Life, a.head.Seq
	seqs, gone, err := w.superseded(session, by, a.turn)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if err := w.mark(session, seq, by); err != nil {
			return err
		}
	}
	err = sqlitex.Execute(w.conn, `DELETE FROM summaries WHERE session = ? AND up_to >= ?`,
		&sqlitex.ExecOptions{Args: []any{session, a.turn.Supersedes.First}})
	if err != nil {
		return err
	}
	return sqlitex.Execute(w.conn, `UPDATE sessions SET branch = seq, superseded = superseded + ?2, messages = messages - ?3,
			groups = groups - ?4, tokens = tokens - ?5, summaries = summaries + ?6 WHERE id = ?1`,
		&sqlitex.ExecOptions{Args: []any{session, gone.Turns, gone.Messages, gone.Groups, gone.Tokens, w.conn.Changes()}})
}

// superseded are the turns that one before it supersedes, and their totals.
func (w *writer) superseded(session, by int64, t *memory.Turn) (seqs []int64, gone memory.Totals, err error) {
	err = sqlitex.Execute(w.conn, liveTurns, &sqlitex.ExecOptions{
		Args: []any{session, t.Supersedes.First, by - 1},
		ResultFunc: func(q *sqlite.Stmt) error {
			earlier, err := memory.DecodeTurn(q.ColumnInt64(0), q.ColumnText(1))
			if err == nil && t.Replaces(&earlier) {
				seqs = append(seqs, earlier.Seq)
				gone.Add(&earlier)
			}
			return err
		},
	})
	return seqs, gone, err
}

func (w *writer) mark(session, seq, by int64) error {
	return sqlitex.Execute(w.conn, `INSERT INTO superseded (session, seq, by) VALUES (?, ?, ?)`,
		&sqlitex.ExecOptions{Args: []any{session, seq, by}})
}
