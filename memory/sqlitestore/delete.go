package sqlitestore

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// Delete implements memory.Store. What is deleted is overwritten in the file; the
// write-ahead log beside it may hold it until the next checkpoint.
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
	return run(w.remove)
}

func (w *writer) deleteAt(key memory.Key, now, seq int64) error {
	err := sqlitex.Execute(w.conn, `DELETE FROM sessions
		WHERE tenant = ? AND name = ? AND (expires_at = 0 OR expires_at > ?) AND seq = ?`,
		&sqlitex.ExecOptions{Args: []any{key.Tenant, key.Session, now, seq}})
	if err != nil || w.conn.Changes() > 0 {
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
