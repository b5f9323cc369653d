package sqlitestore

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"
)

// swept is the number of expired sessions that one transaction removes.
const swept = 16

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

// sweep removes what expired, a few sessions at a time, so that turns need not
// wait for it.
func (s *Store) sweep(ctx context.Context) error {
	for n := swept; n == swept; {
		err := s.write(ctx, func(w *writer) (err error) {
			n, err = w.deleteExpired(s.now(), swept)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteExpired deletes some of the sessions that expired and reports how many.
func (w *writer) deleteExpired(now int64, limit int) (int, error) {
	err := sqlitex.Execute(w.conn, `DELETE FROM sessions WHERE id IN
		(SELECT id FROM sessions WHERE expires_at > 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?)`,
		&sqlitex.ExecOptions{Args: []any{now, limit}})
	return w.conn.Changes(), err
}
