package ledger

import (
	"context"
	"time"
)

// Private

// A pace is how the writing goes on.
type pace struct {
	pause time.Duration // after a failure; 0: the last batch was written
	until time.Time     // nothing is tried before
	told  int64         // dropped entries that OnDrop knows of
}

// run writes until the writer is closed, and then what waits.
func (w *Writer) run() {
	defer close(w.done)
	batch := make([]Entry, 0, w.opts.Batch)
	tick := time.NewTicker(w.opts.Interval)
	defer tick.Stop()
	var p pace
	for {
		select {
		case <-tick.C:
		case <-w.full:
		case <-w.stop:
			w.drain(batch, &p)
			return
		}
		if time.Now().Before(p.until) {
			w.tell(&p)
			continue
		}
		w.flush(batch, &p)
	}
}

// drain writes what waits until it is written or Close has no more patience.
func (w *Writer) drain(batch []Entry, p *pace) {
	for w.flush(batch, p); w.Queued() > 0 && w.ctx.Err() == nil; w.flush(batch, p) {
		select {
		case <-time.After(min(p.pause, w.opts.Interval)):
		case <-w.ctx.Done():
		}
	}
	if left := w.Queued(); left > 0 {
		w.dropped.Add(int64(left))
	}
	w.tell(p)
}

// flush writes batch by batch until little waits or the store fails.
func (w *Writer) flush(batch []Entry, p *pace) {
	for {
		n, err := w.write(batch)
		switch {
		case err != nil:
			if p.pause == 0 {
				w.opts.Log.Warn("the usage ledger cannot be written; its entries wait", "error", err, "waiting", w.Queued())
			}
			p.pause = min(max(2*p.pause, w.opts.Interval), maxPause)
			p.until = time.Now().Add(p.pause)
		case n > 0 && p.pause > 0:
			w.opts.Log.Info("the usage ledger is written again", "dropped", w.Dropped())
			*p = pace{told: p.told}
		}
		w.tell(p)
		if err != nil || n < w.opts.Batch {
			return
		}
	}
}

// write writes the oldest batch and reports how many entries it had.
func (w *Writer) write(batch []Entry) (int, error) {
	select {
	case w.writing <- struct{}{}:
	case <-w.ctx.Done():
		return 0, w.ctx.Err()
	}
	defer func() { <-w.writing }()
	batch = w.oldest(batch[:0])
	if len(batch) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.opts.Timeout)
	defer cancel()
	if err := w.opts.Store.Append(ctx, batch); err != nil {
		return 0, err
	}
	w.release(len(batch))
	clear(batch)
	return len(batch), nil
}

// oldest copies the queue's first entries, as stores want them.
func (w *Writer) oldest(batch []Entry) []Entry {
	w.mu.Lock()
	for i := range min(w.queued, cap(batch)) {
		batch = append(batch, *w.ring[(w.head+i)%len(w.ring)])
	}
	w.mu.Unlock()
	for i := range batch {
		batch[i].Bound()
	}
	return batch
}

// release takes the first n entries out of the queue.
func (w *Writer) release(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		w.ring[(w.head+i)%len(w.ring)] = nil
	}
	w.head = (w.head + n) % len(w.ring)
	w.queued -= n
}

// tell tells of entries that were dropped since it did last.
func (w *Writer) tell(p *pace) {
	if n := w.Dropped() - p.told; n > 0 {
		p.told += n
		w.opts.Log.Warn("entries of the usage ledger were dropped", "entries", n)
		w.opts.OnDrop(n)
	}
}

// rollRegularly rolls calls up, first at the start: a process may not live for an hour.
func (w *Writer) rollRegularly() {
	tick := time.NewTicker(rollInterval)
	defer tick.Stop()
	for {
		if err := w.opts.Store.Roll(w.ctx, time.Now().Add(-w.opts.Keep)); err != nil && w.ctx.Err() == nil {
			w.opts.Log.Warn("old calls in the usage ledger were not rolled up", "error", err)
		}
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
	}
}
