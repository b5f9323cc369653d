package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mnemo/memory"
)

const (
	// lateLoads is how many loads must fail in a row for the store to count as down.
	lateLoads = 3
	// burstLength bounds the losses that are reported together.
	burstLength = time.Minute
)

// health is what is known of the store. The outbox's lock guards it.
type health struct {
	down   bool
	since  time.Time
	told   bool      // the log says that it is down
	late   int       // loads in a row that failed
	taken  int64     // turns that the store took while there was trouble
	warned time.Time // when the log said last that a turn is not taken
	closed bool
}

// A burst counts losses, to be reported together.
type burst struct {
	total    int64
	unsaid   int64
	previous int64 // of these, at the last look
	since    time.Time
}

// Private

func (b *burst) add(n int64) {
	if b.unsaid == 0 {
		b.since = time.Now()
	}
	b.total += n
	b.unsaid += n
}

// over reports whether nothing was lost since the last look, or losses go on for long.
func (b *burst) over() bool {
	same := b.unsaid == b.previous
	b.previous = b.unsaid
	return b.unsaid > 0 && (same || time.Since(b.since) >= burstLength)
}

func (b *burst) take() int64 {
	n := b.unsaid
	b.unsaid, b.previous = 0, 0
	return n
}

// permanent reports whether trying again is of no use.
func permanent(err error) bool {
	return errors.Is(err, memory.ErrKey) || errors.Is(err, memory.ErrSessionFull) ||
		errors.Is(err, memory.ErrCodec) || errors.Is(err, memory.ErrMessage)
}

// left reports whether the caller gave up. A deadline that passed is another thing:
// it tells of the store.
func left(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// assess, locked, sees whether there is trouble. It must follow every change of the queue and
// of the store's health.
func (o *Outbox) assess() {
	o.trouble.Store(o.down || o.closed || o.late > 0 || len(o.lines) > 0)
	if o.closed && len(o.lines) == 0 {
		select {
		case <-o.emptied:
		default:
			close(o.emptied)
		}
	}
}

// fall, locked, says that the store is down and is to be asked after a while.
func (o *Outbox) fall(after time.Duration) {
	if o.down {
		return
	}
	o.down, o.since = true, o.opts.Now()
	o.alarm.Reset(after)
	o.assess()
}

// rise, locked, says that the store answers.
func (o *Outbox) rise() {
	if o.told {
		o.opts.Log.Info("the store is back", "down_for", o.opts.Now().Sub(o.since).String(),
			"queued", o.turns(), "spooled", o.spooled, "lost", o.lost.total)
	}
	o.down, o.since, o.told, o.late = false, time.Time{}, false, 0
	o.assess()
}

// settled waits until the store has all turns of the session.
func (o *Outbox) settled(ctx context.Context, key memory.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for tried := false; ; tried = true {
		l := o.lines[key]
		switch {
		case o.closed:
			return ErrClosed
		case o.down:
			return memory.ErrDown
		case l == nil:
			return nil
		case l.busy == nil && tried:
			return fmt.Errorf("%w for this session: turns of it are queued", memory.ErrDown)
		case l.busy == nil:
			o.take(l)
			o.work.Go(func() { o.deliver(l) })
		}
		if err := o.await(ctx, l.busy); err != nil {
			return fmt.Errorf("%w for this session: turns of it are queued: %w", memory.ErrDown, err)
		}
	}
}

// await, locked, waits for a channel to be closed, and gives the lock up meanwhile.
func (o *Outbox) await(ctx context.Context, done <-chan struct{}) error {
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *Outbox) loadFailed(ctx context.Context, err error) {
	if permanent(err) || left(ctx) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late++
	o.assess()
	if o.late >= lateLoads {
		o.fall(o.opts.ProbeInterval) // it may only be slow: let it rest
	}
}

func (o *Outbox) loaded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late = 0
	o.assess()
}

func (o *Outbox) appended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken++
}

// appendFailed queues a turn that the store did not take, and returns the error
// for the caller.
func (o *Outbox) appendFailed(ctx context.Context, key memory.Key, t memory.Turn, err error) error {
	if permanent(err) || left(ctx) {
		return err
	}
	e := newEntry(key, t)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.fall(0)
	}
	return o.keep(e, err)
}

// detour queues a turn if the store is down or the session has queued turns.
func (o *Outbox) detour(ctx context.Context, key memory.Key, t memory.Turn) (done bool, err error) {
	if err := key.Check(); err != nil {
		return true, err
	}
	if left(ctx) {
		return true, fmt.Errorf("append turn: %w", ctx.Err())
	}
	var e *entry
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		switch {
		case o.closed:
			return true, ErrClosed
		case !o.down && o.lines[key] == nil:
			return false, nil
		case e != nil:
			return true, o.keep(e, memory.ErrDown)
		}
		o.mu.Unlock() // a turn may be large
		e = newEntry(key, t)
		o.mu.Lock()
	}
}

// keep, locked, queues a turn, if there is room.
func (o *Outbox) keep(e *entry, cause error) error {
	if !o.room(e.size) {
		o.lost.add(1)
		return fmt.Errorf("append turn: %w: %w", ErrLost, cause)
	}
	if o.closed {
		o.lost.add(1)
		return fmt.Errorf("append turn: %w: %w", ErrClosed, cause)
	}
	if o.push(e) && !o.down {
		o.alarm.Reset(0)
	}
	o.assess()
	if o.over(spillAbove) {
		o.wakeSpool()
	}
	return fmt.Errorf("append turn: %w: %w", memory.ErrQueued, cause)
}
