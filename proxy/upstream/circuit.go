package upstream

import (
	"errors"
	"log/slog"
	"maps"
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
)

// Private

var (
	errCounted    = errors.New("counted as a failure")
	errNotCounted = errors.New("not counted")
)

// circuits are the breakers of an upstream, one for each model.
type circuits struct {
	upstream string
	options  Breaker
	log      *slog.Logger
	shared   *circuit
	mu       sync.Mutex // of those who add
	byModel  atomic.Pointer[map[string]*circuit]
}

// A circuit is the breaker of one upstream and one model.
type circuit struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	open    time.Duration
	state   atomic.Int32 // a gobreaker.State
	opened  atomic.Int64 // Unix nanoseconds
}

func newCircuits(upstream string, options Breaker, log *slog.Logger) *circuits {
	c := &circuits{upstream: upstream, options: options, log: log}
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
	known[model] = made
	c.byModel.Store(&known)
	return made
}

func (c *circuits) make(model string) *circuit {
	made := &circuit{open: c.options.Open}
	made.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         model,
		MaxRequests:  1,
		Interval:     c.options.Window,
		BucketPeriod: max(c.options.Window/buckets, time.Millisecond),
		Timeout:      c.options.Open,
		ReadyToTrip:  c.options.trips,
		IsExcluded:   func(err error) bool { return err == errNotCounted }, //nolint:errorlint // our own sentinel, never wrapped
		OnStateChange: func(model string, from, to gobreaker.State) {
			made.state.Store(int32(to))
			if to == gobreaker.StateOpen {
				made.opened.Store(time.Now().UnixNano())
			}
			if to != gobreaker.StateHalfOpen {
				c.log.Warn("breaker changed", "upstream", c.upstream, "model", oneLine(model), "from", from.String(), "to", to.String())
			}
		},
	})
	return made
}

func (b Breaker) trips(n gobreaker.Counts) bool {
	if int(n.ConsecutiveFailures) >= b.Consecutive {
		return true
	}
	calls := n.TotalSuccesses + n.TotalFailures
	return int(calls) >= b.MinCalls && float64(n.TotalFailures) >= b.FailureRatio*float64(calls)
}

// enter admits a call. done takes the call's effect, once, when its head arrived
// or it failed. If the call is not admitted, done is nil and wait the time until
// one may be.
func (c *circuit) enter() (done func(error), wait time.Duration) {
	done, err := c.breaker.Allow()
	if err == nil {
		return done, 0
	}
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, halfOpenRetryGap
	}
	return nil, max(time.Until(time.Unix(0, c.opened.Load()).Add(c.open)), time.Millisecond)
}

// head records the effect of an attempt. Of an answer whose body is still to
// come only a probe is counted; the others count at their end, see end.
func (c *circuit) head(done func(error), effect breakerEffect, bodyFollows bool) {
	switch {
	case effect == countFailure:
		done(errCounted)
	case effect == countNothing, bodyFollows && gobreaker.State(c.state.Load()) == gobreaker.StateClosed:
		done(errNotCounted)
	default:
		done(nil)
	}
}

// end records the fate of an answer's body.
func (c *circuit) end(effect breakerEffect) {
	if effect == countNothing {
		return
	}
	done, err := c.breaker.Allow()
	if err != nil {
		return
	}
	if effect == countFailure {
		done(errCounted)
		return
	}
	done(nil)
}

func (c *circuit) isOpen() bool { return c.breaker.State() == gobreaker.StateOpen }

// unused reports whether nothing would be lost with the circuit: it is closed
// and its window holds no failure.
func (c *circuit) unused() bool {
	return c.breaker.State() == gobreaker.StateClosed && c.breaker.Counts().TotalFailures == 0
}
