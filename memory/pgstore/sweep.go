package pgstore

import (
	"context"
	"time"
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
			s.opts.Log.Warn("expired sessions were not removed", "error", s.failed("sweep store", err))
		}
	}
}

// sweep removes what expired, a few sessions at a time. Replicas that sweep at the
// same time take different ones, and sessions that are in use are left for later.
func (s *Store) sweep(ctx context.Context) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, s.opts.Timeout)
		done, err := s.pool.Exec(bounded, s.sql.removeExpired, s.opts.Now().UnixMilli(), swept)
		cancel()
		if err != nil || done.RowsAffected() < swept {
			return err
		}
	}
}
