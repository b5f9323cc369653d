package upstream

import (
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	maxCircuits      = 256 // models of one upstream that have a breaker of their own
	maxCircuitName   = 128 // bytes; a longer model name shares
	buckets          = 10  // of the rolling window
	sharedCircuit    = "*" // the name of the breaker that the other models share
	halfOpenRetryGap = time.Second
	openJitter       = 5 // up to a fifth of the time open is left out
)

// Private

var (
	errCounted    = errors.New("counted as a failure")
	errNotCounted = errors.New("not counted")
)

// circuits are the breakers of an upstream, one for each model.
type circuits struct {
	upstream  string
	options   Breaker
	longest   time.Duration // that a breaker is open at a time
	log       *slog.Logger
	board     Board // nil: nobody is told
	boardName string
	shared    *circuit
	mu        sync.Mutex // of those who add; guards rumours
	byModel   atomic.Pointer[map[string]*circuit]
	rumours   rumours
}

// A circuit is the breaker of one upstream and one model.
type circuit struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	state   atomic.Int32 // a gobreaker.State
	began   time.Time    // what now counts from
	until   atomic.Int64 // it is open, see now; 0: it is closed
	probes  int          // that failed since it opened; guarded by the breaker
	tripped atomic.Pointer[tally]
	hearsay hearsay
}

func newCircuits(upstream string, options Breaker, longest time.Duration, log *slog.Logger) *circuits {
	c := &circuits{upstream: upstream, options: options, longest: max(longest, options.Open), log: log, rumours: rumours{}}
	c.shared = c.make(sharedCircuit)
	c.byModel.Store(&map[string]*circuit{})
	return c
}

// of returns the breaker of a model, made at its first call.
func (c *circuits) of(model string) *circuit {
	if found := (*c.byModel.Load())[model]; found != nil {
		return found
	}
	if len(model) > maxCircuitName {
		return c.shared
	}
	return c.add(model)
}

func (c *circuits) add(model string) *circuit {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.byModel.Load()
	if found := known[model]; found != nil {
		return found
	}
	known = maps.Clone(known)
	if len(known) >= maxCircuits {
		maps.DeleteFunc(known, func(_ string, old *circuit) bool { return old.unused() })
	}
	if len(known) >= maxCircuits {
		return c.shared
	}
	made := c.make(model)
	if d := c.rumours.take(model); d > 0 {
		made.hear(d)
	}
	known[model] = made
	c.byModel.Store(&known)
	return made
}

// make returns a breaker. The library's own time open is over at once, because
// ours differs from one time to the next, see until.
func (c *circuits) make(model string) *circuit {
	made := &circuit{began: time.Now()}
	made.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         model,
		MaxRequests:  1,
		Interval:     c.options.Window,
		BucketPeriod: max(c.options.Window/buckets, time.Millisecond),
		Timeout:      1,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			if made.hearsay.wanted.Load() > 0 {
				made.tripped.Store(nil)
				return true
			}
			if !c.options.trips(n) {
				return false
			}
			made.tripped.Store(tallyOf(n))
			return true
		},
		IsExcluded: func(err error) bool { return err == errNotCounted }, //nolint:errorlint // our own sentinel, never wrapped
		OnStateChange: func(model string, from, to gobreaker.State) {
			made.state.Store(int32(to))
			if to != gobreaker.StateHalfOpen {
				c.changed(made, model, from, to)
			}
		},
	})
	return made
}

// changed sets until when a circuit is open, and tells of it.
func (c *circuits) changed(circuit *circuit, model string, from, to gobreaker.State) {
	now, heard := circuit.now(), false
	if to == gobreaker.StateClosed {
		circuit.hearsay.closed(now, circuit.until.Swap(0))
		c.tell(circuit, model, 0)
	} else {
		d := c.openTime(circuit, from)
		d, heard = circuit.hearsay.opened(now, d)
		circuit.open(d - rand.N(d/openJitter+1))
		if !heard {
			c.tell(circuit, model, d)
		}
	}
	c.log.Warn("breaker changed", "upstream", c.upstream, "model", oneLine(model),
		"from", from.String(), "to", to.String(), "heard", heard)
}

// openTime doubles from one failed probe to the next. A circuit is never open for
// longer, so that recovery is seen in time, but a little shorter at random.
func (c *circuits) openTime(opening *circuit, from gobreaker.State) time.Duration {
	opening.probes++
	if from == gobreaker.StateClosed {
		opening.probes = 0
	}
	d := c.options.Open
	for range opening.probes {
		if d >= c.longest/2 {
			return c.longest
		}
		d *= 2
	}
	return d
}

func (b Breaker) trips(n gobreaker.Counts) bool {
	if int(n.ConsecutiveFailures) >= b.Consecutive {
		return true
	}
	calls := n.TotalSuccesses + n.TotalFailures
	return int(calls) >= b.MinCalls && float64(n.TotalFailures) >= b.FailureRatio*float64(calls)
}

// A tally is what a window holds.
type tally struct{ calls, failures int }

func tallyOf(n gobreaker.Counts) *tally {
	return &tally{calls: int(n.TotalSuccesses + n.TotalFailures), failures: int(n.TotalFailures)}
}

func (t tally) rate() float64 {
	if t.calls == 0 {
		return 0
	}
	return float64(t.failures) / float64(t.calls)
}

// tally is that of the window, or of the one that opened the circuit while it is
// not closed.
func (c *circuit) tally() tally {
	if c.current() != gobreaker.StateClosed { // which also ends what is older than the window
		if tripped := c.tripped.Load(); tripped != nil {
			return *tripped
		}
	}
	return *tallyOf(c.breaker.Counts())
}

// enter admits a call. done takes the call's effect, once, when its head arrived
// or it failed. If the call is not admitted, done is nil and wait the time until
// one may be.
func (c *circuit) enter() (done func(error), wait time.Duration) {
	if wait := c.left(); wait > 0 {
		return nil, wait
	}
	if done = c.admit(); done != nil {
		return done, 0
	}
	return nil, max(c.left(), halfOpenRetryGap) // somebody else is the probe, or opened it just now
}

// admit returns nil if the circuit is open, or half-open and probed already.
func (c *circuit) admit() (done func(error)) {
	done, err := c.breaker.Allow()
	switch {
	case err != nil:
		return nil
	case c.left() > 0: // it opened in this moment
		done(errNotCounted)
		return nil
	}
	return done
}

// left is the time that the circuit stays open.
func (c *circuit) left() time.Duration {
	until := c.until.Load()
	if until == 0 {
		return 0
	}
	return max(time.Duration(until-c.now()), 0)
}

// now is in nanoseconds, at least one, and never goes back as the time of day does.
func (c *circuit) now() int64 { return int64(time.Since(c.began)) + 1 }

func (c *circuit) open(d time.Duration) { c.until.Store(c.now() + int64(d)) }

// head records the effect of an attempt. Of an answer whose body is still to
// come only a probe is counted; the others count at their end, see end. So does a
// failure: it belongs to the present, and the library would forget one that took
// longer than its window.
func (c *circuit) head(done func(error), effect breakerEffect, bodyFollows bool) {
	closed := c.closed()
	switch {
	case effect == countFailure && closed:
		done(errNotCounted)
		c.end(effect)
	case effect == countFailure:
		done(errCounted)
	case effect == countNothing, bodyFollows && closed:
		done(errNotCounted)
	default:
		done(nil)
	}
}

// end records the fate of an answer's body. What began while the circuit was
// closed says nothing to a probe: only the probe's own call closes it again.
func (c *circuit) end(effect breakerEffect) {
	if effect == countNothing || !c.closed() {
		return
	}
	done := c.admit()
	switch {
	case done == nil:
	case !c.closed(): // this would be a probe
		done(errNotCounted)
	case effect == countFailure:
		done(errCounted)
	default:
		done(nil)
	}
}

func (c *circuit) isOpen() bool { return c.current() == gobreaker.StateOpen }

func (c *circuit) current() gobreaker.State {
	if c.left() > 0 {
		return gobreaker.StateOpen
	}
	return c.breaker.State()
}

// unused reports whether nothing would be lost with the circuit: it is closed
// and its window holds no failure.
func (c *circuit) unused() bool {
	return c.breaker.State() == gobreaker.StateClosed && c.breaker.Counts().TotalFailures == 0
}
