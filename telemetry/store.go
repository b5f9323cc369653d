package telemetry

import (
	"context"
	"time"
)

// Operations of a store, for ObserveStore.
const (
	StoreLoad   = "load"
	StoreCommit = "commit"
)

// ObserveStore records one operation of the session store: its name as one of a
// fixed set of words, the time that it took, and its error.
func (t *Telemetry) ObserveStore(operation string, took time.Duration, err error) {
	ctx, row := context.Background(), t.stores.row(operation)
	t.storeDuration.Record(ctx, took.Seconds(), row.record...)
	if err != nil {
		t.storeErrors.Add(ctx, 1, row.add...)
	}
}

// Private

func newStoreSeries(operation string) series { return newSeries(storeOperation.String(operation)) }
