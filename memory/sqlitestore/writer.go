package sqlitestore

import (
	"context"
	"fmt"
	"sync/atomic"

	"zombiezen.com/go/sqlite"

	"mnemo/memory"
)

// queued bounds the jobs that wait for the writer; then their callers wait.
const queued = 1024

// A writer is the store's one connection that writes.
type writer struct {
	conn                     *sqlite.Conn
	begin, commit, rollback  *sqlite.Stmt
	addTurn, isLive, create  *sqlite.Stmt
	insert, instruct, change *sqlite.Stmt
	remove, removeExpired    *sqlite.Stmt
	crowd                    int // jobs of the last transaction
}

// A job is a change that someone waits for.
type job struct {
	do    func(w *writer) error // may run twice, the first time rolled back
	taken atomic.Bool           // by the writer, or by a caller who does not wait any longer
	done  chan error
}

// appending is a turn on its way into the file, and what became of it.
type appending struct {
	key                 memory.Key
	turn                *memory.Turn
	text, system        string
	added               memory.Totals
	limit, now, expires int64
	head                memory.Head
}

func newWriter(conn *sqlite.Conn) (*writer, error) {
	w := &writer{conn: conn}
	return w, prepare(conn, map[**sqlite.Stmt]string{
		&w.begin:    `BEGIN IMMEDIATE`,
		&w.commit:   `COMMIT`,
		&w.rollback: `ROLLBACK`,
		&w.addTurn: `UPDATE sessions SET seq = seq + 1, messages = messages + ?4, groups = groups + ?5,
				tokens = tokens + ?6, bytes = bytes + ?7, updated_at = ?3, expires_at = ?8
			WHERE tenant = ?1 AND name = ?2 AND (expires_at = 0 OR expires_at > ?3) AND bytes + ?7 <= ?9
			RETURNING id, seq, messages, groups, tokens, bytes`,
		&w.isLive: `SELECT 1 FROM sessions WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?)`,
		&w.create: `INSERT INTO sessions (tenant, name, seq, updated_at, messages, groups, tokens, bytes, expires_at, system_seq)
			VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, 0)
			RETURNING id, seq, messages, groups, tokens, bytes`,
		&w.insert: `INSERT INTO turns (session, seq, turn) VALUES (?, ?, ?)`,
		&w.instruct: `INSERT INTO instructions (session, system) VALUES (?, ?)
			ON CONFLICT (session) DO UPDATE SET system = excluded.system WHERE system <> excluded.system`,
		&w.change: `UPDATE sessions SET system_seq = seq WHERE id = ?`,
		&w.remove: `DELETE FROM sessions WHERE tenant = ? AND name = ?`,
		&w.removeExpired: `DELETE FROM sessions WHERE id IN
			(SELECT id FROM sessions WHERE expires_at > 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?)`,
	})
}

// Private

// write has the writer do a job and waits for its result. If the context ends
// before the writer takes the job, it is not done.
func (s *Store) write(ctx context.Context, do func(w *writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{do: do, done: make(chan error, 1)}
	if err := s.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-j.done
	}
}

// enqueue holds the lock, so that the queue is not closed meanwhile.
func (s *Store) enqueue(ctx context.Context, j *job) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) append(a *appending) error {
	found, err := w.count(w.addTurn, a)
	if err == nil && !found {
		if err = w.makeRoom(a); err == nil {
			_, err = w.count(w.create, a)
		}
	}
	if err != nil {
		return err
	}
	w.insert.BindInt64(1, a.head.Revision.Life)
	w.insert.BindInt64(2, a.head.Seq)
	w.insert.BindText(3, a.text)
	if err := run(w.insert); err != nil || a.system == "" {
		return err
	}
	w.instruct.BindInt64(1, a.head.Revision.Life)
	w.instruct.BindText(2, a.system)
	if err := run(w.instruct); err != nil || w.conn.Changes() == 0 {
		return err
	}
	w.change.BindInt64(1, a.head.Revision.Life)
	return run(w.change)
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
	if q == w.addTurn {
		q.BindInt64(9, a.limit)
	}
	if found, err = q.Step(); found {
		a.head = headOf(q)
	}
	return found, err
}

// makeRoom prepares for a session's first turn: an expired life goes. A session
// that was found by nobody though it is alive is full.
func (w *writer) makeRoom(a *appending) (err error) {
	full := a.added.Bytes > a.limit
	if !full {
		w.isLive.BindText(1, a.key.Tenant)
		w.isLive.BindText(2, a.key.Session)
		w.isLive.BindInt64(3, a.now)
		full, err = w.isLive.Step()
		reset(w.isLive, &err)
	}
	if err != nil {
		return err
	}
	if full {
		return fmt.Errorf("%w: the limit is %d bytes", memory.ErrSessionFull, a.limit)
	}
	return w.delete(a.key)
}

func (w *writer) delete(key memory.Key) error {
	w.remove.BindText(1, key.Tenant)
	w.remove.BindText(2, key.Session)
	return run(w.remove)
}

// deleteExpired deletes some of the sessions that expired and reports how many.
func (w *writer) deleteExpired(now int64, limit int) (int, error) {
	w.removeExpired.BindInt64(1, now)
	w.removeExpired.BindInt64(2, int64(limit))
	err := run(w.removeExpired)
	return w.conn.Changes(), err
}
