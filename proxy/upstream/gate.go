package upstream

import (
	"context"
	"sync"
	"time"
)

// A Queue is where calls wait that an upstream with a MaxInFlight has no place
// for. Tenants take turns. Whoever comes when it is full takes the place of the
// last one of the tenant that waits most, if that one has more than its share.
type Queue struct {
	Length int           // 0: DefaultQueueLength; negative: nobody waits
	Wait   time.Duration // the longest; 0: DefaultQueueWait
}

// Private

// A gate bounds the calls of an upstream and of its keys.
type gate struct {
	upstream string
	most     int // 0: only the keys are bounded
	length   int
	wait     time.Duration
	keys     *keyring
	now      func() time.Time

	mu    sync.Mutex
	taken int
	line  line
}

// A ticket is a call that waits at a gate.
type ticket struct {
	tenant, model, sticky string
	hurried               bool          // it does not wait
	called                chan struct{} // closed when the rest is set
	pass                  pass
}

// A pass is what a gate decided: a key to call with, nil where the client's own
// goes up; or that none is usable for a while; or that there was no place.
type pass struct {
	key     *key
	refused bool // no key is usable
	after   time.Duration
	failure *Error
}

// newGate returns nil if nothing is bounded.
func newGate(o *Upstream, keys *keyring, now func() time.Time) *gate {
	if o.MaxInFlight <= 0 && o.MaxInFlightPerKey <= 0 {
		return nil
	}
	g := &gate{
		upstream: o.Name, most: max(o.MaxInFlight, 0), keys: keys, now: now,
		length: o.Queue.Length, wait: orDefault(o.Queue.Wait, DefaultQueueWait),
	}
	if g.length == 0 {
		g.length = DefaultQueueLength
	}
	return g
}

// admit lets a call of an upstream pass, if need be after a wait, which ends with
// the call's time.
func (c *call) admit(u *upstream, model string) pass {
	sticky := c.request.Sticky
	if u.noSticky {
		sticky = ""
	}
	if u.gate == nil {
		return u.keys.pass(model, sticky, c.pool.now())
	}
	patience := time.Duration(0)
	if u.timeouts.Total > 0 {
		patience = max(u.timeouts.Total-time.Since(c.began), 1)
	}
	return u.gate.enter(c.ctx, &ticket{tenant: c.request.Tenant, model: model, sticky: sticky, hurried: c.hurried}, patience)
}

// leave gives the place of an admitted call to the next.
func (u *upstream) leave(k *key) {
	if u.retired.Load() {
		u.closeIdle()
	}
	if u.gate == nil {
		k.leave()
		return
	}
	u.gate.leave(k)
}

func (r *keyring) pass(model, sticky string, now time.Time) pass {
	if !r.pooled.Load() {
		return pass{}
	}
	k, wait := r.pick(model, sticky, now)
	return pass{key: k, refused: k == nil, after: wait}
}

func (g *gate) enter(ctx context.Context, t *ticket, patience time.Duration) pass {
	g.mu.Lock()
	g.call()
	if g.line.length == 0 {
		if p, ok := g.try(t); ok {
			g.mu.Unlock()
			return p
		}
	}
	if t.hurried || g.line.length >= max(g.length, 0) && !g.makeRoom(t.tenant) {
		g.mu.Unlock()
		return pass{failure: overloaded(g.upstream, g.wait)}
	}
	t.called = make(chan struct{})
	g.line.join(t)
	g.mu.Unlock()

	timer := time.NewTimer(shortest(g.wait, patience))
	defer timer.Stop()
	select {
	case <-t.called:
		return t.pass
	case <-timer.C:
		return g.giveUp(t, overloaded(g.upstream, g.wait))
	case <-ctx.Done():
		return g.giveUp(t, clientGone(ctx.Err()))
	}
}

func (g *gate) giveUp(t *ticket, failure *Error) pass {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.line.quit(t) {
		return pass{failure: failure}
	}
	return t.pass // it was called at the last moment
}

func (g *gate) leave(k *key) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken--
	k.leave()
	g.call()
}

// call lets those who wait in while there is room. It is called whenever there
// may be more than before.
func (g *gate) call() {
	for passed := 0; passed < g.line.tenants(); {
		if g.most > 0 && g.taken >= g.most {
			return
		}
		t := g.line.front()
		p, ok := g.try(t)
		if !ok { // no key for this one, but perhaps for the next tenant's
			g.line.pass()
			passed++
			continue
		}
		passed = 0
		g.line.take()
		t.pass = p
		close(t.called)
	}
}

// changed tells that there may be other keys.
func (g *gate) changed() {
	if g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.call()
	}
}

func (g *gate) try(t *ticket) (p pass, ok bool) {
	if g.most > 0 && g.taken >= g.most {
		return pass{}, false
	}
	p = g.keys.pass(t.model, t.sticky, g.now())
	switch {
	case p.refused && p.after == whenFree:
		return pass{}, false
	case !p.refused:
		g.taken++
	}
	return p, true
}

// makeRoom turns the last one of the tenant with the most calls away, if it has
// more of them than a newcomer's tenant would have.
func (g *gate) makeRoom(newcomer string) bool {
	t := g.line.lastOfLongest(newcomer)
	if t == nil {
		return false
	}
	g.line.quit(t)
	t.pass = pass{failure: crowded(g.upstream, g.wait)}
	close(t.called)
	return true
}

func (g *gate) queued() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.line.length
}
