package sqlitestore

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Private

func (s *Store) sweepRegularly(ctx context.Context) {
	tick := time.NewTicker(s.opts.SweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("expired sessions were not removed", "store", s.opts.Path, "error", err)
		}
	}
}

// sweep removes what expired or was deleted, a little at a time, so that turns need
// not wait for it.
func (s *Store) sweep(ctx context.Context) error {
	for left := true; left; {
		err := s.write(ctx, func(w *writer) (err error) {
			left, err = w.removeExpired(s.now())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeExpired removes a portion and reports whether something is left.
func (w *writer) removeExpired(now int64) (bool, error) {
	for p := portion(0); p.rows() > 0; {
		var session int64
		err := sqlitex.Execute(w.conn, `SELECT id FROM sessions WHERE expires_at > 0 AND expires_at <= ? ORDER BY expires_at LIMIT 1`,
			&sqlitex.ExecOptions{
				Args:       []any{now},
				ResultFunc: func(q *sqlite.Stmt) error { session = q.ColumnInt64(0); return nil },
			})
		if err != nil || session == 0 {
			return false, err
		}
		if _, err := w.remove(session, &p); err != nil {
			return false, err
		}
	}
	return true, nil
}
