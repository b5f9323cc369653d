package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Operations of a store, for ObserveStore.
const (
	StoreLoad   = "load"
	StoreCommit = "commit"
)

// ObserveStore records one operation of the session store: its name as one of a
// fixed set of words, the time that it took, and its error.
func (t *Telemetry) ObserveStore(operation string, took time.Duration, err error) {
	t.storeDuration.Record(context.Background(), took.Seconds(), t.stores.row(operation).record...)
	if err != nil {
		t.storeErrors.add(operation, 1)
	}
}

// QueueState is what waits for a store that cannot be reached.
type QueueState struct {
	Down         bool
	Turns        int // in memory
	Bytes        int64
	Spooled      int // turns in files
	SpooledBytes int64
	Lost         int64 // turns that were given up since the start
}

// ObserveQueue sets the function that is asked whenever metrics are read. It must
// not block.
func (t *Telemetry) ObserveQueue(state func() QueueState) { t.queue.Store(&state) }

// Summarized records one attempt to make a summary, by its outcome as one of a
// fixed set of words.
func (t *Telemetry) Summarized(outcome string) { t.summaries.add(outcome, 1) }

// Private

func (t *Telemetry) observeQueue(o metric.Observer, g gauges) {
	state := t.queue.Load()
	if state == nil {
		return
	}
	s := (*state)()
	down := int64(0)
	if s.Down {
		down = 1
	}
	inMemory, spooled := metric.WithAttributes(queuePlace.String("memory")), metric.WithAttributes(queuePlace.String("spool"))
	o.ObserveInt64(g.storeDown, down)
	o.ObserveInt64(g.queueTurns, int64(s.Turns), inMemory)
	o.ObserveInt64(g.queueTurns, int64(s.Spooled), spooled)
	o.ObserveInt64(g.queueBytes, s.Bytes, inMemory)
	o.ObserveInt64(g.queueBytes, s.SpooledBytes, spooled)
	o.ObserveInt64(g.queueLost, s.Lost)
}

func newStoreSeries(operation string) series { return newSeries(storeOperation.String(operation)) }
