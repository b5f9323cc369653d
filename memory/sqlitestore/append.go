package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"github.com/tidwall/gjson"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// appending is a turn on its way into the file, and what became of it.
type appending struct {
	key                 memory.Key
	turn                *memory.Turn
	text                string
	added               memory.Totals
	spent               memory.Spent
	limit, now, expires int64

	head     memory.Head
	again    bool  // it was stored before
	created  bool  // it is the session's first
	untitled bool  // the session was there and has no title
	listedAt int64 // where the session is in lists
}

// Append implements memory.Store. If it returns the context's error, the turn is
// not stored.
func (s *Store) Append(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	if err := key.Check(); err != nil {
		return 0, err
	}
	a := appending{key: key, turn: &t, text: string(memory.EncodeTurn(&t)), limit: s.opts.MaxSessionBytes}
	a.added.Add(&t)
	a.spent.Add(&t.Usage)
	err := s.write(ctx, func(w *writer) error {
		a.now, a.expires = s.times()
		return w.append(&a)
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("append turn: %w", err)
	case a.again:
	case a.head.Seq == 1 && !a.created: // an empty session's instructions are not known here
		s.cache.Drop(key)
	default:
		s.cache.Append(key, a.head, &t)
	}
	return a.head.Seq, nil
}

// Private

func (w *writer) append(a *appending) (err error) {
	if a.turn.Redelivered && a.turn.ID != "" {
		if err = w.delivered(a); err != nil || a.again {
			return err
		}
	}
	found, err := w.count(w.addTurn, a)
	if a.created = !found; err == nil && a.created {
		err = w.begins(a)
	}
	if err != nil {
		return err
	}
	session, text, superseding := a.head.Revision.Life, a.text, a.turn.Supersedes != memory.Span{}
	if superseding && !within(a.turn.Supersedes, a.head.Seq) {
		text, superseding = withoutSpan(*a.turn), false
	}
	w.insert.BindInt64(1, session)
	w.insert.BindInt64(2, a.head.Seq)
	w.insert.BindText(3, text)
	err = run(w.insert)
	if err == nil && (a.turn.System != "" || a.turn.Persona != "") {
		err = w.keepInstructions(session, a.turn.System, a.turn.Persona)
	}
	if err == nil && a.untitled {
		err = w.entitle(session, a.turn.Title())
	}
	if err == nil && superseding {
		err = w.supersede(a)
	}
	if late := a.turn.At.UnixMilli() - a.listedAt; err == nil && (late < 0 || late >= relisting) {
		err = w.relist(session)
	}
	return err
}

// begins makes a session of its first turn.
func (w *writer) begins(a *appending) error {
	if err := w.makeRoom(a); err != nil {
		return err
	}
	title := a.turn.Title()
	w.create.BindBool(16, title == "")
	if _, err := w.count(w.create, a); err != nil {
		return err
	}
	a.untitled = false
	return w.addTitle(a.head.Revision.Life, title, a.turn.At)
}

// delivered looks for the turn's ID in its session, from the end.
func (w *writer) delivered(a *appending) error {
	a.again = false
	member := `"id":` + string(gjson.AppendJSONString(nil, a.turn.ID))
	return sqlitex.Execute(w.conn, `SELECT turns.seq, turn FROM sessions JOIN turns ON session = sessions.id
		WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?) AND instr(turn, ?) > 0
		ORDER BY turns.seq DESC`, &sqlitex.ExecOptions{
		Args: []any{a.key.Tenant, a.key.Session, a.now, member},
		ResultFunc: func(q *sqlite.Stmt) error { // what the members of messages are called is up to clients
			if !a.again && gjson.Get(q.ColumnText(1), "id").String() == a.turn.ID {
				a.again, a.head.Seq = true, q.ColumnInt64(0)
			}
			return nil
		},
	})
}

// count adds a turn to its session's row, which q updates or creates.
func (w *writer) count(q *sqlite.Stmt, a *appending) (found bool, err error) {
	defer reset(q, &err)
	q.BindText(1, a.key.Tenant)
	q.BindText(2, a.key.Session)
	q.BindInt64(3, a.now)
	q.BindInt64(4, a.added.Messages)
	q.BindInt64(5, a.added.Groups)
	q.BindInt64(6, a.added.Tokens)
	q.BindInt64(7, a.added.Bytes)
	q.BindInt64(8, a.expires)
	q.BindInt64(9, a.limit)
	q.BindInt64(10, a.turn.At.UnixMilli())
	q.BindInt64(11, a.spent.Input)
	q.BindInt64(12, a.spent.CachedInput)
	q.BindInt64(13, a.spent.Output)
	q.BindInt64(14, a.spent.Cost)
	q.BindInt64(15, 1-a.spent.Unpriced)
	if found, err = q.Step(); found {
		a.head, a.untitled, a.listedAt = headOf(q), q.ColumnBool(9), q.ColumnInt64(10)
	}
	return found, err
}

// makeRoom prepares for a session's first turn: an expired life goes. A session
// that was found by nobody though it is alive is full.
func (w *writer) makeRoom(a *appending) error {
	full, err := a.added.Bytes > a.limit, error(nil)
	if !full {
		full, err = w.live(a.key, a.now)
	}
	if err != nil {
		return err
	}
	if full {
		return fullAt(a.limit)
	}
	_, err = w.retire(a.key)
	return err
}

func fullAt(limit int64) error {
	return fmt.Errorf("%w: the limit is %d bytes", memory.ErrSessionFull, limit)
}

// live reports whether there is such a session.
func (w *writer) live(key memory.Key, now int64) (found bool, err error) {
	q := w.isLive
	defer reset(q, &err)
	q.BindText(1, key.Tenant)
	q.BindText(2, key.Session)
	q.BindInt64(3, now)
	return q.Step()
}

// keepInstructions keeps those that are given and marks the session if they are new.
func (w *writer) keepInstructions(session int64, system, persona string) error {
	w.instruct.BindInt64(1, session)
	w.instruct.BindText(2, system)
	w.instruct.BindText(3, persona)
	if err := run(w.instruct); err != nil || w.conn.Changes() == 0 {
		return err
	}
	w.change.BindInt64(1, session)
	return run(w.change)
}

// addTitle adds what is kept of a session from its beginning.
func (w *writer) addTitle(session int64, title string, created time.Time) error {
	w.title.BindInt64(1, session)
	w.title.BindText(2, title)
	w.title.BindText(3, memory.Fold(title))
	w.title.BindInt64(4, created.UnixMilli())
	return run(w.title)
}

// entitle gives a title, if it is one, to a session that has none.
func (w *writer) entitle(session int64, title string) error {
	if title == "" {
		return nil
	}
	err := sqlitex.Execute(w.conn, `UPDATE titles SET title = ?, folded = ? WHERE session = ?`,
		&sqlitex.ExecOptions{Args: []any{title, memory.Fold(title), session}})
	if err != nil {
		return err
	}
	return sqlitex.Execute(w.conn, `UPDATE sessions SET untitled = 0 WHERE id = ?`, &sqlitex.ExecOptions{Args: []any{session}})
}
