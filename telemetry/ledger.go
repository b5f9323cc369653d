package telemetry

import "go.opentelemetry.io/otel/metric"

// LedgerState is what became of the rows of the usage ledger since the start.
type LedgerState struct {
	Written int64
	Lost    int64 // rows that found no place in the queue, or that the store refused
	Waiting int
}

// ObserveLedger sets the function that is asked whenever metrics are read. It must
// not block.
func (t *Telemetry) ObserveLedger(state func() LedgerState) { t.ledger.Store(&state) }

// Private

func (t *Telemetry) observeLedger(o metric.Observer, g gauges) {
	state := t.ledger.Load()
	if state == nil {
		return
	}
	s := (*state)()
	o.ObserveInt64(g.ledgerRows, s.Written)
	o.ObserveInt64(g.ledgerLost, s.Lost)
	o.ObserveInt64(g.ledgerWaiting, int64(s.Waiting))
}
