package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// eraseWait bounds how long the writer waits for readers to let it empty the log.
const eraseWait = 20 * time.Millisecond

// Delete implements memory.Store. What is deleted is overwritten in the file, and
// the write-ahead log beside it emptied, at once or, while somebody reads, after one
// of the next changes.
func (s *Store) Delete(ctx context.Context, key memory.Key) error {
	return s.forget(ctx, key, func(w *writer) error { return w.delete(key) })
}

// DeleteAt implements memory.Store.
func (s *Store) DeleteAt(ctx context.Context, key memory.Key, seq int64) error {
	return s.forget(ctx, key, func(w *writer) error { return w.deleteAt(key, s.now(), seq) })
}

// Private

func (s *Store) forget(ctx context.Context, key memory.Key, do func(w *writer) error) error {
	if err := key.Check(); err != nil {
		return err
	}
	if err := s.write(ctx, do); err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	s.cache.Drop(key)
	return nil
}

// delete relies on the keys of the other tables, which cascade.
func (w *writer) delete(key memory.Key) error {
	w.remove.BindText(1, key.Tenant)
	w.remove.BindText(2, key.Session)
	err := run(w.remove)
	w.erasing = w.erasing || w.conn.Changes() > 0
	return err
}

// erase empties the write-ahead log if it may hold what was deleted.
func (w *writer) erase() {
	if !w.erasing {
		return
	}
	w.conn.SetBusyTimeout(eraseWait)
	defer w.conn.SetBusyTimeout(lockWait)
	busy := int64(1)
	err := sqlitex.ExecuteTransient(w.conn, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{
		ResultFunc: func(q *sqlite.Stmt) error {
			busy = q.ColumnInt64(0)
			return nil
		},
	})
	w.erasing = err != nil || busy != 0
}

func (w *writer) deleteAt(key memory.Key, now, seq int64) error {
	err := sqlitex.Execute(w.conn, `DELETE FROM sessions
		WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?) AND seq = ?`,
		&sqlitex.ExecOptions{Args: []any{key.Tenant, key.Session, now, seq}})
	if err != nil || w.conn.Changes() > 0 {
		w.erasing = true
		return err
	}
	found, err := w.live(key, now)
	if err == nil && found {
		return fmt.Errorf("%w: its last turn is not %d", memory.ErrConflict, seq)
	}
	if err == nil {
		err = memory.ErrNotFound
	}
	return err
}
