package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"mnemo/memory"
)

const (
	// deliverers is how many sessions are written at the same time.
	deliverers = 16
	// maxRefusals is how often the store may take the turns of others and not this one.
	maxRefusals = 10
	// longestRetry bounds the time between attempts to write a turn that is not taken
	// by a store that answers.
	longestRetry = 30 * time.Second
	// warnEvery is the least time between warnings of such turns.
	warnEvery = time.Minute
)

// Private

// tend asks a store that is down whether it is back, and writes what is queued.
func (o *Outbox) tend() {
	for {
		select {
		case <-o.ctx.Done():
			return
		case <-o.alarm.C:
		}
		if o.answers() {
			o.drain()
		}
		o.rest()
	}
}

// answers asks the store if it was down.
func (o *Outbox) answers() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down {
		return true
	}
	if err := o.ping(); err != nil {
		if !o.told && o.ctx.Err() == nil {
			o.told = true
			o.opts.Log.Warn("the store is down; turns are queued", "error", err)
		}
		return false
	}
	o.rise()
	return true
}

// ping, locked, asks the store, and gives the lock up meanwhile.
func (o *Outbox) ping() error {
	o.mu.Unlock()
	defer o.mu.Lock()
	ctx, cancel := context.WithTimeout(o.ctx, o.opts.AppendTimeout)
	defer cancel()
	return o.store.Ping(ctx)
}

// rest sets the alarm if anything is left to do.
func (o *Outbox) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost.over() {
		o.opts.Log.Error("turns are lost: the queue is full", "turns", o.lost.take())
	}
	if o.down || len(o.lines) > 0 || o.lost.unsaid > 0 {
		half := o.opts.ProbeInterval / 2
		o.alarm.Reset(half + rand.N(max(2*half, 1))) // many processes must not ask at once
	}
}

// drain writes what is queued, several sessions at a time.
func (o *Outbox) drain() {
	var working sync.WaitGroup
	slots := make(chan struct{}, deliverers)
	for _, l := range o.due() {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			o.mu.Lock()
			free := o.lines[l.key] == l && l.busy == nil && !o.down
			if free {
				o.take(l)
			}
			o.mu.Unlock()
			if free {
				o.deliver(l)
			}
		})
	}
	working.Wait()
}

func (o *Outbox) due() []*line {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	lines := make([]*line, 0, len(o.lines))
	for _, l := range o.lines {
		if !now.Before(l.retry) {
			lines = append(lines, l)
		}
	}
	return lines
}

// take, locked, makes the caller the one who works on a line.
func (o *Outbox) take(l *line) { l.busy = make(chan struct{}) }

// release, locked, ends that.
func (o *Outbox) release(l *line) {
	close(l.busy)
	l.busy = nil
	if len(l.entries) == 0 {
		delete(o.lines, l.key)
	}
	o.assess()
}

// deliver writes the turns of a line, which the caller took, as far as it can, and
// releases the line.
func (o *Outbox) deliver(l *line) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.release(l)
	for len(l.entries) > 0 && !o.down && o.ctx.Err() == nil {
		turn, place := l.entries[0].turn, l.entries[0].place
		o.mu.Unlock()
		err := o.write(l.key, turn, place)
		o.mu.Lock()
		if !o.written(l, err) {
			return
		}
	}
}

// write appends a turn that is in memory or in a file.
func (o *Outbox) write(key memory.Key, turn *memory.Turn, at place) error {
	if turn == nil {
		read, err := at.read(key)
		if err != nil {
			return err
		}
		turn = &read
	}
	ctx, cancel := context.WithTimeout(o.ctx, o.opts.AppendTimeout)
	defer cancel()
	_, err := o.apply(ctx, key, *turn)
	return err
}

// apply appends a turn. What the request of one only repeated of a log that could
// not be read is taken out first.
func (o *Outbox) apply(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	if t.Unresolved {
		resolved, err := memory.Resolve(ctx, o.store, key, t)
		if err != nil {
			return 0, err
		}
		t = resolved
	}
	return o.store.Append(ctx, key, t)
}

// written, locked, says what became of the first turn of a line, and whether to go on.
func (o *Outbox) written(l *line, err error) bool {
	switch {
	case err == nil:
		o.taken++
	case permanent(err) || errors.Is(err, errRecord):
		o.refused(l, err)
	case o.ctx.Err() != nil:
		return false
	default:
		if o.ping() != nil {
			o.fall(o.opts.ProbeInterval)
			return false
		}
		if !o.givenUp(l, err) {
			return false
		}
		o.refused(l, err)
	}
	o.discard(l)
	return true
}

// givenUp, locked, is asked when a store that answers does not take a turn. The turn is tried
// again later, unless the store has often taken the turns of others meanwhile: then
// one turn must not keep its session from being loaded for ever.
func (o *Outbox) givenUp(l *line, err error) bool {
	now := time.Now()
	if now.Sub(o.warned) >= warnEvery {
		o.warned = now
		o.opts.Log.Warn("the store answers but does not take a turn; it is tried again", "session", sessionOf(l.key), "error", err)
	}
	l.attempts++
	l.retry = now.Add(min(o.opts.ProbeInterval<<min(l.attempts, 20), longestRetry))
	if o.taken > l.seen && !errors.Is(err, context.DeadlineExceeded) {
		l.refusals++
	}
	l.seen = o.taken
	return l.refusals >= maxRefusals
}

// refused, locked, logs and counts the first turn of a line, which the store will never take.
func (o *Outbox) refused(l *line, err error) {
	o.lost.total++
	o.opts.Log.Error("a queued turn is given up", "session", sessionOf(l.key), "error", err)
}

// discard, locked, removes the first turn of a line.
func (o *Outbox) discard(l *line) {
	if e := l.entries[0]; e.turn == nil {
		o.retire(e.place)
	}
	o.shift(l, 1)
}

// sessionOf names a session as the access log does, by the beginning of a SHA-256.
func sessionOf(key memory.Key) string {
	sum := sha256.Sum256([]byte(key.Session))
	return hex.EncodeToString(sum[:6])
}
