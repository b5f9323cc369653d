package upstream

import (
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	maxRumours = 64 // models of one upstream that were heard of before anybody asked for them here
	disbelief  = 9  // times as long as hearsay that proved wrong kept calls off, others are not believed
	maxStrikes = 6  // how often that is doubled
)

// Private

// A hearsay is what a circuit makes of the findings of other replicas. They open
// it only while it is closed, so that it is probed here before it can be opened
// again; and they end an opening once, for a probe. When the probe contradicts
// them, the circuit goes by its own calls for a while: a replica with a broken
// network costs the others a tenth of the time at first, and half of that with
// each further time, until a finding of their own agrees with it.
type hearsay struct {
	wanted  atomic.Int64 // for how long the circuit is just being opened, in nanoseconds; 0: its own calls open it
	deaf    atomic.Int64 // until when nobody is believed, in the circuit's time
	vouched atomic.Bool  // somebody ended the present opening

	// Guarded by the breaker.
	since   int64 // when somebody opened it, in the circuit's time; 0: it opened itself
	strikes int   // how often that was wrong
}

// opened is called when the circuit opens, for d unless others wanted it; then
// for what they wanted.
func (h *hearsay) opened(now int64, d time.Duration) (_ time.Duration, heard bool) {
	vouched := h.vouched.Swap(false)
	if wanted := h.wanted.Swap(0); wanted > 0 {
		h.since = now
		return time.Duration(wanted), true
	}
	h.since, h.strikes = 0, 0
	if vouched {
		h.deaf.Store(now + int64(d))
	}
	return d, false
}

// closed is called when a probe found that all is well, after the circuit was
// open until then.
func (h *hearsay) closed(now, until int64) {
	h.vouched.Store(false)
	if h.since == 0 {
		return
	}
	kept := max(until-h.since, 0)
	h.deaf.Store(now + disbelief*kept<<min(h.strikes, maxStrikes))
	h.since = 0
	h.strikes++
}

// hear takes the finding of another replica: that the circuit should be open for
// d, or closed if that is 0.
func (c *circuit) hear(d time.Duration) {
	now := c.now()
	switch {
	case now < c.hearsay.deaf.Load():
	case d <= 0:
		if until := c.until.Load(); until > now && !c.hearsay.vouched.Swap(true) {
			c.until.CompareAndSwap(until, now)
		}
	case c.closed():
		done := c.admit()
		switch {
		case done == nil:
		case !c.closed(): // this was to be a probe
			done(errNotCounted)
		default:
			c.hearsay.wanted.Store(int64(d))
			done(errCounted)
			c.hearsay.wanted.Store(0)
		}
	}
}

func (c *circuit) closed() bool { return gobreaker.State(c.state.Load()) == gobreaker.StateClosed }

// hear takes the finding of another replica about a model. The table of breakers
// is for models that were asked for here: others only begin with what was heard.
func (c *circuits) hear(model string, d time.Duration) {
	d = min(d, c.longest)
	c.mu.Lock()
	known := (*c.byModel.Load())[model]
	if known == nil {
		c.rumours.note(model, d)
	}
	c.mu.Unlock()
	if known != nil {
		known.hear(d)
	}
}

// tell tells other replicas of a change that the circuit's own calls brought
// about; d is 0 if it closed.
func (c *circuits) tell(changed *circuit, model string, d time.Duration) {
	switch {
	case c.board == nil || changed == c.shared: // whose models are others in each replica
	case d > 0:
		c.board.Opened(c.boardName, model, d)
	default:
		c.board.Closed(c.boardName, model)
	}
}

// rumours are the models that should be left alone, and until when.
type rumours map[string]time.Time

func (r rumours) note(model string, d time.Duration) {
	now := time.Now()
	delete(r, model)
	if len(r) >= maxRumours {
		for other, until := range r {
			if !now.Before(until) {
				delete(r, other)
			}
		}
	}
	if d > 0 && len(r) < maxRumours && len(model) <= maxCircuitName {
		r[model] = now.Add(d)
	}
}

// take returns for how long a model is still to be left alone, and forgets it.
func (r rumours) take(model string) time.Duration {
	until, ok := r[model]
	if !ok {
		return 0
	}
	delete(r, model)
	return max(time.Until(until), 0)
}
