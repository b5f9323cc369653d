package sqlitestore

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

const (
	// unlinked is how many turns at a log's end the index of links may lack. Find
	// reads those, so that most sessions never have an index, and no Append pays
	// for one.
	unlinked = 256
	// linking bounds the turns that one transaction adds to the index.
	linking = 1024
)

// Find implements memory.Store. Where the index lags, as in a file from before
// there were links, it is brought up to date first, some turns at a time.
func (s *Store) Find(ctx context.Context, key memory.Key, links []memory.Link) (seq int64, err error) {
	if err := key.Check(); err != nil {
		return 0, err
	}
	for {
		var behind lag
		err := s.read(ctx, func(r *reader) error {
			return r.snapshot(func() (err error) {
				seq, behind, err = r.find(key, s.now(), links)
				return err
			})
		})
		if err == nil && behind.upTo > 0 {
			err = s.write(ctx, func(w *writer) error { return w.link(behind) })
		}
		if err != nil {
			return 0, fmt.Errorf("find turn: %w", err)
		}
		if behind.upTo == 0 {
			return seq, nil
		}
	}
}

// Private

// A lag is what the index of a session lacks: the links of some of its turns.
type lag struct {
	session, upTo int64 // 0: it lacks little enough
	turns         []linkedTurn
}

type linkedTurn struct {
	seq   int64
	links []memory.Link
}

// find looks in the turns that are not in the index, which are the newest ones, and
// then in the index; or it returns what that lacks.
func (r *reader) find(key memory.Key, now int64, links []memory.Link) (int64, lag, error) {
	h, found, err := r.lookup(key, now)
	if err != nil || !found {
		return 0, lag{}, err
	}
	session, linked := h.Revision.Life, int64(0)
	err = sqlitex.Execute(r.conn, `SELECT seq FROM linked WHERE session = ?`, &sqlitex.ExecOptions{
		Args:       []any{session},
		ResultFunc: func(q *sqlite.Stmt) error { linked = q.ColumnInt64(0); return nil },
	})
	if err != nil {
		return 0, lag{}, err
	}
	if h.Seq-linked > unlinked {
		upTo := min(h.Seq, linked+linking)
		turns, err := r.links(session, linked+1, upTo)
		return 0, lag{session, upTo, turns}, err
	}
	turns, err := r.links(session, linked+1, h.Seq)
	if err != nil {
		return 0, lag{}, err
	}
	newest := map[memory.Link]int64{}
	for _, t := range turns {
		for _, l := range t.links {
			newest[l] = max(newest[l], t.seq)
		}
	}
	for _, l := range links {
		seq := newest[l]
		if seq == 0 {
			seq, err = r.indexed(session, l)
		}
		if err != nil || seq > 0 {
			return seq, lag{}, err
		}
	}
	return 0, lag{}, nil
}

// indexed is the newest live turn that has a link, by the index; 0 if there is none.
func (r *reader) indexed(session int64, l memory.Link) (seq int64, err error) {
	q := r.findLink
	defer reset(q, &err)
	q.BindInt64(1, session)
	q.BindInt64(2, int64(l))
	if _, err = q.Step(); err != nil {
		return 0, err
	}
	return q.ColumnInt64(0), nil
}

// links reads those of live turns.
func (r *reader) links(session, first, last int64) (turns []linkedTurn, err error) {
	err = sqlitex.Execute(r.conn, liveTurns, &sqlitex.ExecOptions{
		Args: []any{session, first, last},
		ResultFunc: func(q *sqlite.Stmt) error {
			t, err := memory.DecodeTurn(q.ColumnInt64(0), q.ColumnText(1))
			if err == nil {
				turns = append(turns, linkedTurn{t.Seq, t.Links()})
			}
			return err
		},
	})
	return turns, err
}

// link adds to the index what it lacked, unless the session is gone. Another
// process may do the same at once.
func (w *writer) link(lag lag) error {
	err := sqlitex.Execute(w.conn, `INSERT INTO linked (session, seq) SELECT id, ?2 FROM sessions WHERE id = ?1
		ON CONFLICT (session) DO UPDATE SET seq = excluded.seq WHERE seq < excluded.seq`,
		&sqlitex.ExecOptions{Args: []any{lag.session, lag.upTo}})
	if err != nil || w.conn.Changes() == 0 {
		return err
	}
	for _, t := range lag.turns {
		for _, l := range t.links {
			err := sqlitex.Execute(w.conn, `INSERT OR IGNORE INTO links (session, link, seq) VALUES (?, ?, ?)`,
				&sqlitex.ExecOptions{Args: []any{lag.session, int64(l), t.seq}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
