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

func TestObserveQueue_is_asked_at_each_scrape(t *testing.T) {
	tel, _ := start(t, Options{})
	if families := scrape(t, tel); families["mnemo_store_down"] != nil {
		t.Error("a store without a queue is said to be up or down")
	}
	state := QueueState{Down: true, Turns: 3, Bytes: 300, Spooled: 7, SpooledBytes: 700, Lost: 2}
	tel.ObserveQueue(func() QueueState { return state })
	for range 2 {
		families := scrape(t, tel)
		down := one(t, families, "mnemo_store_down").GetGauge().GetValue()
		if want := state.Down; (down == 1) != want {
			t.Errorf("down is %v, want %v", down, want)
		}
		for place, want := range map[string][2]float64{"memory": {float64(state.Turns), float64(state.Bytes)}, "spool": {float64(state.Spooled), float64(state.SpooledBytes)}} {
			turns := one(t, families, "mnemo_store_queue_turns", "mnemo_store_queue_place", place).GetGauge().GetValue()
			bytes := one(t, families, "mnemo_store_queue_bytes", "mnemo_store_queue_place", place).GetGauge().GetValue()
			if turns != want[0] || bytes != want[1] {
				t.Errorf("%s: %v turns of %v bytes, want %v", place, turns, bytes, want)
			}
		}
		if lost := one(t, families, "mnemo_store_queue_lost_total").GetCounter().GetValue(); lost != 2 {
			t.Errorf("%v lost", lost)
		}
		state = QueueState{Lost: 2}
	}
}

func TestSummarized_counts_by_outcome_and_usage_has_its_own_label(t *testing.T) {
	tel, _ := start(t, Options{})
	tel.Summarized("done")
	tel.Summarized("done")
	tel.Summarized("implausible")
	_, span := tel.StartSummary(t.Context(), "gpt-4o")
	tel.EndChat(span, &ChatCall{Summary: true, RequestModel: "gpt-4o", Upstream: "u", Status: 200, Usage: Usage{Input: 10, Output: 5, Source: Measured}})
	families := scrape(t, tel)
	for outcome, want := range map[string]float64{"done": 2, "implausible": 1} {
		if got := one(t, families, "mnemo_summaries_total", "mnemo_summary_outcome", outcome).GetCounter().GetValue(); got != want {
			t.Errorf("%s: %v", outcome, got)
		}
	}
	m := one(t, families, "gen_ai_client_token_usage", "gen_ai_token_type", "input")
	if label(m.GetLabel(), "gen_ai_operation_name") != "summarize" || m.GetHistogram().GetSampleSum() != 10 {
		t.Errorf("usage of the summary: %v", m)
	}
}
