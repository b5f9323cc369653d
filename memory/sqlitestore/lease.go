package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// Lease implements memory.Store. Giving a lease back returns false.
func (s *Store) Lease(ctx context.Context, key memory.Key, holder string, d time.Duration) (held bool, err error) {
	if err := key.Check(); err != nil {
		return false, err
	}
	err = s.write(ctx, func(w *writer) (err error) {
		if d <= 0 {
			held, err = false, w.release(key, holder)
			return err
		}
		held, err = w.lease(key, holder, s.now(), s.opts.Now().Add(d).UnixMilli())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("lease session: %w", err)
	}
	return held, nil
}

// Private

func (w *writer) lease(key memory.Key, holder string, now, until int64) (bool, error) {
	err := sqlitex.Execute(w.conn, `INSERT INTO leases (session, holder, until)
		SELECT id, ?3, ?5 FROM sessions WHERE tenant = ?1 AND name = ?2 AND (expires_at = 0 OR expires_at > ?4)
		ON CONFLICT (session) DO UPDATE SET holder = excluded.holder, until = excluded.until
			WHERE holder = excluded.holder OR until <= ?4`,
		&sqlitex.ExecOptions{Args: []any{key.Tenant, key.Session, holder, now, until}})
	return w.conn.Changes() > 0, err
}

func (w *writer) release(key memory.Key, holder string) error {
	return sqlitex.Execute(w.conn, `DELETE FROM leases
		WHERE session = (SELECT id FROM sessions WHERE tenant = ? AND name = ?) AND holder = ?`,
		&sqlitex.ExecOptions{Args: []any{key.Tenant, key.Session, holder}})
}
