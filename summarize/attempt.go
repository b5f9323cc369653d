package summarize

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"mnemo/memory"
)

// Private

const (
	// leaseMargin is how much longer than a call a lease lasts: what reading and
	// writing the store may take.
	leaseMargin = 15 * time.Second
	// releaseTimeout bounds the giving back of a lease.
	releaseTimeout = 5 * time.Second
)

// An attempt is at a job, by the holder of the session's lease.
type attempt struct {
	*Summarizer
	job    *Job
	holder string
}

// A task is what an attempt does.
type task func(a *attempt, ctx context.Context) error

// run does a job under the session's lease and reports what became of it.
func (s *Summarizer) run(ctx context.Context, job *Job, do task) (err error) {
	defer func() { s.settle(ctx, job.Key, err) }()
	defer func() {
		if value := recover(); value != nil {
			err = &RejectedError{Reason: Failed, Err: panicked(value)}
			s.report(Outcome{Key: job.Key, Reason: Failed, Err: err})
		}
	}()
	a := &attempt{Summarizer: s, job: job, holder: rand.Text()}
	if err := a.lease(ctx); err != nil {
		return err
	}
	defer a.release(ctx)
	return do(a, ctx)
}

// lease takes the session's lease, or extends it.
func (a *attempt) lease(ctx context.Context) error {
	held, err := a.opts.Store.Lease(ctx, a.job.Key, a.holder, a.opts.Timeout+leaseMargin)
	if err == nil && !held {
		return ErrBusy
	}
	return err
}

// release gives the lease back. If it cannot, the lease ends by itself.
func (a *attempt) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_, _ = a.opts.Store.Lease(ctx, a.job.Key, a.holder, 0)
}

// settle reports a job that failed, but for what was reported when it happened, and
// makes the session wait.
func (s *Summarizer) settle(ctx context.Context, key memory.Key, err error) {
	var rejected *RejectedError
	outcome := Outcome{Key: key, Reason: StoreFailed, Err: err}
	switch {
	case err == nil:
		s.pauses.succeeded(key)
		return
	case errors.As(err, &rejected):
		s.pauses.failed(key)
		return
	case errors.Is(err, ErrBusy):
		outcome.Reason = Busy
		s.pauses.occupied(key)
	case ctx.Err() != nil:
		outcome.Reason = Cancelled
	case errors.Is(err, memory.ErrConflict):
		outcome.Reason = Conflict
		s.pauses.failed(key)
	default:
		s.pauses.failed(key)
	}
	s.report(outcome)
}

func (s *Summarizer) report(o Outcome) {
	s.opts.Observe(o)
	level := slog.LevelWarn
	switch o.Reason {
	case Done, Busy, Cancelled, Dropped: // nothing is wrong, or each request would say so
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("reason", string(o.Reason)), slog.String("model", o.Model), slog.Duration("duration", o.Duration)}
	if o.Err != nil {
		attrs = append(attrs, slog.Any("error", o.Err))
	}
	s.opts.Log.LogAttrs(s.life, level, "summary", attrs...)
}

// panicked describes a panic, without what a value of its own may hold.
func panicked(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a %T", value)
}
