package outbox

import (
	"context"
	"errors"
	"time"

	"mnemo/memory"
)

const (
	// Spilling begins above so many percent of a bound in memory, and ends below.
	spillAbove = 75
	spillBelow = 50
	// What is written and synced at once.
	spillTurns = 512
	spillBytes = 4 << 20
	// spillPatience is how long a turn that does not fit waits for room.
	spillPatience = 250 * time.Millisecond
	// spillRetry is the time between attempts to use a disk that failed.
	spillRetry = time.Second
	// maxSpooled bounds the turns in files, because each takes a little memory too.
	maxSpooled = 1 << 20
)

// spilling is what the outbox and the goroutine that owns the spool's files share.
// The outbox's lock guards it.
type spilling struct {
	wake    chan struct{}    // asks for work
	calls   chan func()      // to be run by the spool's goroutine
	retired []place          // to be blanked
	needed  int64            // the size of the largest turn that waits for room
	freed   chan struct{}    // closed, and made anew, when there is room in memory again
	stalled bool             // the disk fails or is slow: nobody waits for it
	retry   <-chan time.Time // of the spool's goroutine alone
}

func newSpilling() spilling {
	return spilling{wake: make(chan struct{}, 1), calls: make(chan func()), freed: make(chan struct{})}
}

// Private

// over, locked, reports whether more than so many percent of a bound in memory are used.
func (o *Outbox) over(percent int) bool {
	return o.turns() > o.opts.MaxTurns*percent/100 || o.bytes > o.opts.MaxBytes*int64(percent)/100
}

// room, locked, reports whether a turn fits into memory. It waits a moment for the spool to
// make room, if the disk works.
func (o *Outbox) room(size int64) bool {
	if o.fits(size) {
		return true
	}
	ctx, cancel := context.WithTimeout(o.ctx, spillPatience)
	defer cancel()
	for !o.fits(size) {
		if o.spool == nil || size > o.opts.MaxBytes {
			return false
		}
		o.needed = max(o.needed, size)
		o.wakeSpool()
		if o.stalled {
			return false
		}
		if o.await(ctx, o.freed) != nil {
			o.stalled = true
		}
	}
	return true
}

func (o *Outbox) fits(size int64) bool {
	return o.turns() < o.opts.MaxTurns && o.bytes+size <= o.opts.MaxBytes
}

func (o *Outbox) crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over(spillAbove) || !o.fits(o.needed)
}

func (o *Outbox) wakeSpool() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// retire, locked, has a record blanked whose turn is not queued any more.
func (o *Outbox) retire(at place) {
	o.retired = append(o.retired, at)
	o.wakeSpool()
}

// serveSpool does all that is done to the spool's files.
func (o *Outbox) serveSpool() {
	for {
		select {
		case <-o.ctx.Done():
			return
		case f := <-o.calls:
			f()
			continue
		case <-o.wake:
		case <-o.retry:
		}
		o.retry = nil
		err := o.tidy()
		if o.crowded() {
			err = errors.Join(err, o.spill(spillBelow))
		}
		if err != nil {
			o.retry = time.After(spillRetry)
		}
	}
}

// inSpool runs f in the spool's goroutine and waits for it.
func (o *Outbox) inSpool(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case o.calls <- func() { done <- f() }:
	case <-ctx.Done():
		return ctx.Err()
	case <-o.ctx.Done():
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tidy blanks what was retired.
func (o *Outbox) tidy() error {
	o.mu.Lock()
	retired := o.retired
	o.retired = nil
	o.mu.Unlock()
	if len(retired) == 0 {
		return nil
	}
	left, err := o.spool.blank(retired)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.retired = append(o.retired, left...)
	return err
}

// spill moves the oldest turns in memory to files until not more than so many
// percent of a bound are used, and what waits for room fits.
func (o *Outbox) spill(percent int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.over(percent) || !o.fits(o.needed) {
		batch := o.oldest()
		var places []place
		err := errSpoolFull
		if o.spooled+len(batch) <= maxSpooled {
			o.mu.Unlock()
			places, err = o.spool.write(records(batch))
			o.mu.Lock()
		}
		if err != nil {
			if !o.stalled {
				o.opts.Log.Warn("turns cannot be spooled; they stay in memory", "error", err)
			}
			o.stalled = true
			return err
		}
		for i, e := range batch {
			if !o.spilled(e, places[i]) {
				o.retire(places[i]) // it was stored or deleted meanwhile
			}
		}
		o.stalled, o.needed = false, 0 // who waits still says so again
		close(o.freed)
		o.freed = make(chan struct{})
	}
	return nil
}

// oldest, locked, are the turns to be spilled next.
func (o *Outbox) oldest() []*entry {
	var batch []*entry
	size := int64(0)
	for el := o.inMemory.Front(); el != nil && len(batch) < spillTurns && size < spillBytes; el = el.Next() {
		e := el.Value.(*entry)
		batch = append(batch, e)
		size += e.size
	}
	return batch
}

func records(batch []*entry) [][]byte {
	records := make([][]byte, len(batch))
	for i, e := range batch {
		records[i] = encodeRecord(e.key, e.turn)
	}
	return records
}

// adopt queues what processes that died left.
func (o *Outbox) adopt() error {
	found, damaged, err := o.spool.adopt()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range found {
		if o.push(&entry{key: f.key, place: f.place}) {
			o.alarm.Reset(0)
		}
	}
	o.assess()
	o.lost.total += int64(damaged)
	switch {
	case err != nil:
		o.opts.Log.Warn("the spool cannot be read", "error", err)
	case damaged > 0:
		o.opts.Log.Warn("turns in the spool are damaged and left out", "turns", damaged)
	}
	if len(found) > 0 {
		o.opts.Log.Info("turns of an earlier process are taken over", "turns", len(found))
	}
	return err
}

// sweep leaves nothing in the spool but what is queued here or in another process
// that lives.
func (o *Outbox) sweep(ctx context.Context) error {
	if o.spool == nil {
		return nil
	}
	return o.inSpool(ctx, func() error { return errors.Join(o.adopt(), o.tidy(), o.spool.sync()) })
}

// drop removes the line of a session when nobody works on it.
func (o *Outbox) drop(ctx context.Context, key memory.Key) (dropped bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		l := o.lines[key]
		switch {
		case l == nil:
			return false, nil
		case l.busy == nil:
			o.take(l)
			for _, p := range l.places() {
				o.retire(p)
			}
			o.shift(l, len(l.entries))
			o.release(l)
			return true, nil
		}
		if err := o.await(ctx, l.busy); err != nil {
			return false, err
		}
	}
}
