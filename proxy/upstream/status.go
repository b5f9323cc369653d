package upstream

import (
	"cmp"
	"slices"
	"time"
)

// States of a key.
const (
	KeyOK      = "ok"
	KeyCooling = "cooling" // limited; not used before its cooldown ends
	KeyOut     = "out"     // refused; probed when its cooldown ends
)

// A Status is a snapshot of one upstream.
type Status struct {
	Upstream string
	InFlight int // attempts, until their answer's body ends
	Queued   int // calls that wait for a place
	// FirstByteP50 and FirstByteP95 are quantiles, over the last 256 good answers,
	// of the time from an attempt's start to the first byte of its answer's body.
	FirstByteP50, FirstByteP95 time.Duration
	ErrorRate                  float64 // of the calls of every model in their breakers' windows; 0 without any
	Keys                       []KeyStatus
	Breakers                   []BreakerStatus // at most 257, sorted by model
}

// A KeyStatus is a snapshot of one key.
type KeyStatus struct {
	Label    string
	State    string        // one of the Key constants; a key that is out for one model only is "ok"
	Cooldown time.Duration // what is left of it
	InFlight int           // calls
	Overdue  bool          // older than its RotateAfter
}

// A BreakerStatus is a snapshot of one breaker.
type BreakerStatus struct {
	Model string // "": calls without one; "*": those beyond the bound, together
	State string // closed, half-open or open

	Wait      time.Duration // what is left of open
	Calls     int           // in the window, or in the one that opened it
	ErrorRate float64       // of these
}

// Usable reports whether a call has a chance: at least one upstream has a usable
// key, or needs none, and is not open for every model that it was asked for.
func (p *Pool) Usable() bool {
	now := p.now()
	return slices.ContainsFunc(p.upstreams, func(u *upstream) bool {
		return u.keys.usable(now) && u.circuits.usable()
	})
}

// Status returns a snapshot of every upstream, in their configured order.
func (p *Pool) Status() []Status {
	now := p.now()
	all := make([]Status, 0, len(p.upstreams))
	for _, u := range p.upstreams {
		s := Status{
			Upstream: u.name,
			InFlight: int(u.inFlight.Load()),
			Queued:   u.gate.queued(),
			Keys:     u.keys.status(now),
		}
		s.FirstByteP50, s.FirstByteP95 = u.latencies.quantiles()
		s.Breakers, s.ErrorRate = u.circuits.status()
		all = append(all, s)
	}
	return all
}

// Private

func (r *keyring) usable(now time.Time) bool {
	if !r.pooled.Load() {
		return true
	}
	return slices.ContainsFunc(r.status(now), func(k KeyStatus) bool { return k.State == KeyOK })
}

func (r *keyring) status(now time.Time) []KeyStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]KeyStatus, 0, len(r.keys))
	for _, k := range r.keys {
		s := KeyStatus{Label: k.label, State: KeyOK, InFlight: int(k.inFlight.Load()), Overdue: k.overdue(now)}
		if k.bar.all && now.Before(k.bar.until) {
			s.State, s.Cooldown = KeyOut, k.bar.until.Sub(now)
		} else if now.Before(k.cooling) {
			s.State, s.Cooldown = KeyCooling, k.cooling.Sub(now)
		}
		all = append(all, s)
	}
	return all
}

func (c *circuits) usable() bool {
	known := *c.byModel.Load()
	for _, circuit := range known {
		if !circuit.isOpen() {
			return true
		}
	}
	return len(known) == 0
}

func (c *circuits) status() (all []BreakerStatus, errorRate float64) {
	known := *c.byModel.Load()
	all = make([]BreakerStatus, 0, len(known)+1)
	var sum tally
	add := func(model string, circuit *circuit) {
		t := circuit.tally()
		sum.calls += t.calls
		sum.failures += t.failures
		all = append(all, BreakerStatus{Model: model, State: circuit.current().String(), Wait: circuit.left(), Calls: t.calls, ErrorRate: t.rate()})
	}
	for model, circuit := range known {
		add(model, circuit)
	}
	add(sharedCircuit, c.shared)
	slices.SortFunc(all, func(a, b BreakerStatus) int { return cmp.Compare(a.Model, b.Model) })
	return all, sum.rate()
}
