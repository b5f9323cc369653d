package sqlitestore

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// Delete implements memory.Store. The session is gone at once; a large one is removed
// from the file in several transactions, so that nobody waits for long, and what
// an end of the process leaves of it the next sweep removes. What is removed is
// overwritten in the file, and the write-ahead log beside it emptied, at once or,
// while somebody reads, after one of the next changes.
func (s *Store) Delete(ctx context.Context, key memory.Key) error {
	return s.forget(ctx, key, func(w *writer) (int64, error) { return w.retire(key) })
}

// DeleteAt implements memory.Store.
func (s *Store) DeleteAt(ctx context.Context, key memory.Key, seq int64) error {
	return s.forget(ctx, key, func(w *writer) (int64, error) { return w.retireAt(key, s.now(), seq) })
}

// Private

// retiring takes a session's name from it and lets it expire: nobody finds it any
// more, and the sweep does. No key has this name.
const retiring = `UPDATE sessions SET tenant = '', name = id, expires_at = 1 WHERE tenant = ? AND name = ?`

func (s *Store) forget(ctx context.Context, key memory.Key, retire func(w *writer) (session int64, err error)) error {
	if err := key.Check(); err != nil {
		return err
	}
	var session int64
	var left bool
	err := s.write(ctx, func(w *writer) (err error) {
		if session, err = retire(w); err == nil {
			left, err = w.remove(session, new(portion))
		}
		return err
	})
	if err == nil {
		s.cache.Drop(key)
	}
	for err == nil && left { // it is too late to change one's mind
		err = s.write(context.WithoutCancel(ctx), func(w *writer) (err error) {
			left, err = w.remove(session, new(portion))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

// retire returns the session's id, 0 if there is none.
func (w *writer) retire(key memory.Key) (session int64, err error) {
	q := w.retiring
	defer reset(q, &err)
	q.BindText(1, key.Tenant)
	q.BindText(2, key.Session)
	if found, err := q.Step(); !found {
		return 0, err
	}
	return q.ColumnInt64(0), nil
}

// retireAt returns an error unless the session is alive and has that many turns.
func (w *writer) retireAt(key memory.Key, now, seq int64) (session int64, err error) {
	err = sqlitex.Execute(w.conn, retiring+` AND (expires_at = 0 OR expires_at > ?) AND seq = ? RETURNING id`, &sqlitex.ExecOptions{
		Args:       []any{key.Tenant, key.Session, now, seq},
		ResultFunc: func(q *sqlite.Stmt) error { session = q.ColumnInt64(0); return nil },
	})
	if err != nil || session != 0 {
		return session, err
	}
	found, err := w.live(key, now)
	if err == nil && found {
		return 0, fmt.Errorf("%w: its last turn is not %d", memory.ErrConflict, seq)
	}
	if err == nil {
		err = memory.ErrNotFound
	}
	return 0, err
}
