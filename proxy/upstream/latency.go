package upstream

import (
	"slices"
	"sync/atomic"
	"time"
)

const latencySamples = 256

// Private

// latencies remembers how long the last answers took to their first byte.
type latencies struct {
	n       atomic.Uint64
	samples [latencySamples]atomic.Int64
}

func (l *latencies) record(d time.Duration) {
	l.samples[(l.n.Add(1)-1)%latencySamples].Store(int64(d))
}

// quantiles returns the median and the 95th percentile, by nearest rank; 0 if
// there was no answer.
func (l *latencies) quantiles() (p50, p95 time.Duration) {
	n := int(min(l.n.Load(), latencySamples))
	if n == 0 {
		return 0, 0
	}
	sorted := make([]time.Duration, n)
	for i := range sorted {
		sorted[i] = time.Duration(l.samples[i].Load())
	}
	slices.Sort(sorted)
	return sorted[(n*50+99)/100-1], sorted[(n*95+99)/100-1]
}
