package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/metric"
)

// States of a breaker, as the metric's values.
const (
	BreakerClosed Breaker = iota
	BreakerHalfOpen
	BreakerOpen
)

// A Breaker is the state of one.
type Breaker int

// UpstreamState is what there is to see of an upstream now.
type UpstreamState struct {
	Name     string             // as configured
	InFlight int                // calls being answered
	Queued   int                // calls that wait for a place
	Breakers map[string]Breaker // by model
	// Cooldowns holds, by label, the time until each key is used again; 0 for a
	// key in use.
	Cooldowns map[string]time.Duration
}

// ObserveUpstreams sets the function that is asked whenever metrics are read. It
// must not block; what it returns must not change afterwards.
func (t *Telemetry) ObserveUpstreams(states func() []UpstreamState) {
	t.upstreams.Store(&states)
}

// Private

func (t *Telemetry) observeUpstreams(o metric.Observer, g gauges) {
	states := t.upstreams.Load()
	if states == nil {
		return
	}
	for _, up := range (*states)() {
		name := upstreamName.String(up.Name)
		o.ObserveInt64(g.upInFlight, int64(up.InFlight), metric.WithAttributes(name))
		o.ObserveInt64(g.upQueued, int64(up.Queued), metric.WithAttributes(name))
		for label, left := range up.Cooldowns {
			o.ObserveFloat64(g.cooldown, max(left, 0).Seconds(),
				metric.WithAttributes(name, upstreamKey.String(label)))
		}
		// Models that share a label show the worst of their breakers.
		worst := make(map[string]Breaker, len(up.Breakers))
		for model, state := range up.Breakers {
			label := t.models.known(model)
			worst[label] = max(worst[label], state)
		}
		for label, state := range worst {
			o.ObserveInt64(g.breaker, int64(state), metric.WithAttributes(name, requestModel.String(label)))
		}
	}
}
