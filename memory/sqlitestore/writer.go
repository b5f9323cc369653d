package sqlitestore

import (
	"context"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
)

// queued bounds the jobs that wait for the writer; then their callers wait.
const queued = 1024

// A writer is the store's one connection that writes.
type writer struct {
	conn                     *sqlite.Conn
	begin, commit, rollback  *sqlite.Stmt
	addTurn, isLive, create  *sqlite.Stmt
	insert, instruct, change *sqlite.Stmt
	title, retiring          *sqlite.Stmt
	crowd                    int  // jobs of the last transaction
	erasing                  bool // the write-ahead log may hold what was deleted
}

// A job is a change that someone waits for.
type job struct {
	do    func(w *writer) error // may run twice, the first time rolled back
	taken atomic.Bool           // by the writer, or by a caller who does not wait any longer
	done  chan error
}

func newWriter(conn *sqlite.Conn) (*writer, error) {
	w := &writer{conn: conn, erasing: true} // what a process deleted that was killed then
	return w, prepare(conn, map[**sqlite.Stmt]string{
		&w.begin:    `BEGIN IMMEDIATE`,
		&w.commit:   `COMMIT`,
		&w.rollback: `ROLLBACK`,
		&w.addTurn: `UPDATE sessions SET seq = seq + 1, messages = messages + ?4, groups = groups + ?5,
				tokens = tokens + ?6, bytes = bytes + ?7, expires_at = ?8, updated_at = ?10, input = input + ?11,
				cached_input = cached_input + ?12, output = output + ?13, cost = cost + ?14, priced = priced + ?15
			WHERE tenant = ?1 AND name = ?2 AND (expires_at = 0 OR expires_at > ?3) AND bytes + ?7 <= ?9
			RETURNING ` + headColumns + `, untitled, listed_at`,
		&w.isLive: `SELECT 1 FROM sessions WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?)`,
		&w.create: `INSERT INTO sessions (tenant, name, seq, messages, groups, tokens, bytes, expires_at, updated_at,
				input, cached_input, output, cost, priced, untitled, listed_at, system_seq)
			VALUES (?1, ?2, 1, ?4, ?5, ?6, ?7, ?8, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?10, 0)
			RETURNING ` + headColumns + `, untitled, listed_at`,
		&w.insert: `INSERT INTO turns (session, seq, turn) VALUES (?, ?, ?)`,
		&w.instruct: `INSERT INTO instructions (session, system, persona) VALUES (?1, ?2, ?3)
			ON CONFLICT (session) DO UPDATE SET system = iif(?2 = '', system, ?2), persona = iif(?3 = '', persona, ?3)
			WHERE ?2 NOT IN ('', system) OR ?3 NOT IN ('', persona)`,
		&w.change:   `UPDATE sessions SET system_seq = max(seq, 1) WHERE id = ?`,
		&w.title:    `INSERT INTO titles (session, title, folded, created_at) VALUES (?, ?, ?, ?)`,
		&w.retiring: retiring + ` RETURNING id`,
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
