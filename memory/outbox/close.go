package outbox

import (
	"errors"
	"time"
)

// Private

func (o *Outbox) shut() error {
	o.mu.Lock()
	o.closed = true
	for _, l := range o.lines {
		l.retry = time.Time{}
	}
	o.alarm.Reset(0)
	o.assess()
	o.mu.Unlock()
	patience := time.NewTimer(o.opts.CloseTimeout)
	select {
	case <-o.emptied:
		patience.Stop()
	case <-patience.C:
	}
	o.stop()
	o.work.Wait()
	var err error
	if o.spool != nil {
		err = errors.Join(o.tidy(), o.spill(0), o.tidy(), o.spool.close())
	}
	o.mu.Lock()
	if n := o.turns(); n > 0 {
		o.lost.add(int64(n))
	}
	if n := o.lost.take(); n > 0 {
		o.opts.Log.Error("turns are lost", "turns", n)
	}
	if o.spooled > 0 {
		o.opts.Log.Warn("turns are left in the spool for the next start", "turns", o.spooled)
	}
	o.mu.Unlock()
	return errors.Join(err, o.store.Close())
}
