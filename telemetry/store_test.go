package telemetry

import (
	"errors"
	"testing"
	"time"
)

func TestObserveStore_records_latency_and_errors_by_operation(t *testing.T) {
	tel, _ := start(t, Options{})
	tel.ObserveStore(StoreLoad, 2*time.Millisecond, nil)
	tel.ObserveStore(StoreCommit, 4*time.Millisecond, nil)
	tel.ObserveStore(StoreCommit, 6*time.Millisecond, errors.New("disk is full"))
	families := scrape(t, tel)
	for operation, want := range map[string]uint64{StoreLoad: 1, StoreCommit: 2} {
		m := one(t, families, "mnemo_store_duration_seconds", "mnemo_store_operation", operation)
		if got := m.GetHistogram().GetSampleCount(); got != want {
			t.Errorf("%s: %d", operation, got)
		}
	}
	failed := one(t, families, "mnemo_store_errors_total")
	if label(failed.GetLabel(), "mnemo_store_operation") != StoreCommit || failed.GetCounter().GetValue() != 1 {
		t.Errorf("got %v", failed)
	}
}
