package telemetry

import (
	"context"
	"time"
)

// A Phase is one part of a call's way. The zero value: the call did not go there.
type Phase struct {
	Start    time.Time
	Duration time.Duration
	Error    string // why it failed, as one of a fixed set of words; "" if it did not
}

// Private

// component numbers are places in Telemetry.components.
const (
	componentParse = iota
	componentLoad
	componentCompose
	componentUpstream
	componentRelay
	componentCommit
)

var componentNames = [...]string{"parse", "load", "compose", "upstream_wait", "relay", "commit"}

func (p *Phase) took() bool { return !p.Start.IsZero() }

func newComponents() (all [len(componentNames)]series) {
	for i, name := range componentNames {
		all[i] = newSeries(overheadComponent.String(name))
	}
	return all
}

// recordOverhead tells where the time of a call went. What no phase accounts for and
// nobody waited for the upstream is the relay's: it is the greatest part of the rest.
func (t *Telemetry) recordOverhead(ctx context.Context, c *ChatCall) {
	record := func(component int, took time.Duration) {
		t.overhead.Record(ctx, took.Seconds(), t.components[component].record...)
	}
	rest := c.End.Sub(c.Start)
	for _, part := range [...]struct {
		component int
		phase     *Phase
	}{{componentParse, &c.Parse}, {componentLoad, &c.Load}, {componentCompose, &c.Compose}, {componentCommit, &c.Commit}} {
		if part.phase.took() {
			record(part.component, part.phase.Duration)
			rest -= part.phase.Duration
		}
	}
	if c.UpstreamWait > 0 {
		record(componentUpstream, c.UpstreamWait)
		record(componentRelay, max(rest-c.UpstreamWait, 0))
	}
}
