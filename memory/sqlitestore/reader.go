package sqlitestore

import (
	"context"
	"slices"

	"zombiezen.com/go/sqlite"

	"mnemo/memory"
)

// headColumns of a session are what headOf reads.
const headColumns = `id, branch, summaries, seq, superseded, messages, groups, tokens, bytes`

// A reader is a connection that only reads. One goroutine uses it at a time.
type reader struct {
	conn                  *sqlite.Conn
	begin, end            *sqlite.Stmt
	findHead, instruction *sqlite.Stmt
	tail, paged, findLink *sqlite.Stmt
}

// A head is a memory.Head as the file has it: not with the instructions but with
// the turn that changed them last.
type head struct {
	memory.Head
	systemSeq int64
}

func newReader(conn *sqlite.Conn) (*reader, error) {
	r := &reader{conn: conn}
	return r, prepare(conn, map[**sqlite.Stmt]string{
		&r.begin: `BEGIN`,
		&r.end:   `COMMIT`,
		&r.findHead: `SELECT ` + headColumns + `, system_seq FROM sessions
			WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?)`,
		&r.instruction: `SELECT system, persona FROM instructions WHERE session = ?`,
		&r.tail:        liveTurns,
		&r.paged: `SELECT turns.seq, turn, by FROM sessions JOIN turns ON turns.session = sessions.id
			LEFT JOIN superseded ON superseded.session = sessions.id AND superseded.seq = turns.seq
			WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?) AND turns.seq < ?
			ORDER BY turns.seq DESC LIMIT ?`,
		&r.findLink: `SELECT seq FROM links WHERE session = ?1 AND link = ?2
			AND NOT EXISTS (SELECT 1 FROM superseded WHERE session = ?1 AND superseded.seq = links.seq) ORDER BY seq DESC LIMIT 1`,
	})
}

// liveTurns selects those of a session between two sequence numbers, newest first.
const liveTurns = `SELECT seq, turn FROM turns WHERE session = ?1 AND seq BETWEEN ?2 AND ?3
	AND NOT EXISTS (SELECT 1 FROM superseded WHERE session = ?1 AND superseded.seq = turns.seq) ORDER BY seq DESC`

// Private

// read runs f with a reader. Reads never wait for writes, only for a reader, and
// take microseconds: the context is not looked at while f runs.
func (s *Store) read(ctx context.Context, f func(r *reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r, open := <-s.readers:
		if !open {
			return ErrClosed
		}
		defer func() { s.readers <- r }()
		return f(r)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// snapshot runs f on one state of the file.
func (r *reader) snapshot(f func() error) error {
	if err := run(r.begin); err != nil {
		return err
	}
	err := f()
	if endErr := run(r.end); err == nil {
		err = endErr
	}
	return err
}

// lookup finds a session that has not expired.
func (r *reader) lookup(key memory.Key, now int64) (h head, found bool, err error) {
	q := r.findHead
	defer reset(q, &err)
	q.BindText(1, key.Tenant)
	q.BindText(2, key.Session)
	q.BindInt64(3, now)
	if found, err = q.Step(); !found {
		return head{}, false, err
	}
	h.Head, h.systemSeq = headOf(q), q.ColumnInt64(9)
	return h, true, nil
}

// complete adds to a head what is kept beside it, as far as it is newer than the tail.
func (r *reader) complete(h *head, tail *memory.Tail) (err error) {
	had := &tail.Session
	h.System, h.Persona, h.Summary = had.System, had.Persona, had.Summary
	if h.systemSeq > had.Seq {
		if err = r.instructions(h); err != nil {
			return err
		}
	}
	if h.Revision.Summary != had.Revision.Summary {
		h.Summary, err = r.summary(h.Revision)
	}
	return err
}

func (r *reader) instructions(h *head) (err error) {
	q := r.instruction
	defer reset(q, &err)
	q.BindInt64(1, h.Revision.Life)
	if _, err = q.Step(); err == nil {
		h.System, h.Persona = q.ColumnText(0), q.ColumnText(1)
	}
	return err
}

// missing reads what a tail lacks of the need: newer turns, then older ones.
func (r *reader) missing(h memory.Head, tail memory.Tail, need memory.Need) ([]memory.Turn, error) {
	var held memory.Totals
	turns, err := r.between(h.Revision.Life, tail.Session.Seq+1, h.Seq, need, &held, nil)
	if err != nil {
		return nil, err
	}
	if tail.Session.Seq > 0 && !need.Met(held) {
		for i := range tail.Session.Turns {
			held.Add(&tail.Session.Turns[i])
		}
		turns, err = r.between(h.Revision.Life, 1, tail.First()-1, need, &held, turns)
	}
	slices.Reverse(turns)
	return turns, err
}

// between adds turns from last down to first until the need is met.
func (r *reader) between(session, first, last int64, need memory.Need, held *memory.Totals, turns []memory.Turn) (_ []memory.Turn, err error) {
	if first > last || need.Met(*held) {
		return turns, nil
	}
	q := r.tail
	defer reset(q, &err)
	q.BindInt64(1, session)
	q.BindInt64(2, first)
	q.BindInt64(3, last)
	for !need.Met(*held) {
		found, err := q.Step()
		if err != nil || !found {
			return turns, err
		}
		t, err := memory.DecodeTurn(q.ColumnInt64(0), q.ColumnText(1))
		if err != nil {
			return nil, err
		}
		held.Add(&t)
		turns = append(turns, t)
	}
	return turns, nil
}

// before reads a page of turns, newest first.
func (r *reader) before(key memory.Key, now, before int64, limit int) (turns []memory.Turn, err error) {
	q := r.paged
	defer reset(q, &err)
	q.BindText(1, key.Tenant)
	q.BindText(2, key.Session)
	q.BindInt64(3, now)
	q.BindInt64(4, before)
	q.BindInt64(5, int64(limit))
	for {
		found, err := q.Step()
		if err != nil || !found {
			return turns, err
		}
		t, err := memory.DecodeTurn(q.ColumnInt64(0), q.ColumnText(1))
		if err != nil {
			return nil, err
		}
		t.SupersededBy = q.ColumnInt64(2)
		turns = append(turns, t)
	}
}

// headOf reads headColumns.
func headOf(q *sqlite.Stmt) memory.Head {
	seq := q.ColumnInt64(3)
	return memory.Head{
		Revision: memory.Revision{Life: q.ColumnInt64(0), Branch: q.ColumnInt64(1), Summary: q.ColumnInt64(2)},
		Seq:      seq,
		Totals: memory.Totals{
			Turns:    seq - q.ColumnInt64(4),
			Messages: q.ColumnInt64(5), Groups: q.ColumnInt64(6), Tokens: q.ColumnInt64(7), Bytes: q.ColumnInt64(8),
		},
	}
}
