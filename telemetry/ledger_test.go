package telemetry

import "testing"

func TestObserveLedger_is_asked_at_each_scrape(t *testing.T) {
	tel, _ := start(t, Options{})
	if scrape(t, tel)["mnemo_ledger_rows_total"] != nil {
		t.Error("there is no ledger yet")
	}
	state := LedgerState{Written: 10, Lost: 2, Waiting: 5}
	tel.ObserveLedger(func() LedgerState { return state })
	for range 2 {
		families := scrape(t, tel)
		rows := one(t, families, "mnemo_ledger_rows_total").GetCounter().GetValue()
		lost := one(t, families, "mnemo_ledger_lost_total").GetCounter().GetValue()
		waiting := one(t, families, "mnemo_ledger_waiting").GetGauge().GetValue()
		if rows != float64(state.Written) || lost != float64(state.Lost) || waiting != float64(state.Waiting) {
			t.Errorf("%v rows, %v lost, %v wait, want %+v", rows, lost, waiting, state)
		}
		state = LedgerState{Written: 15, Lost: 2}
	}
}
