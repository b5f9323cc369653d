package telemetry

import (
	"math"
	"testing"
	"time"
)

func TestOverhead_tells_where_the_time_of_a_call_went(t *testing.T) {
	tel, _ := start(t, Options{})
	call := answered() // of 2 s
	phase := func(ms int) Phase {
		return Phase{Start: call.Start, Duration: time.Duration(ms) * time.Millisecond}
	}
	call.Parse, call.Load, call.Compose, call.Commit = phase(1), phase(5), phase(2), phase(10)
	call.UpstreamWait = 1900 * time.Millisecond
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	families := scrape(t, tel)
	for component, want := range map[string]float64{
		"parse": 0.001, "load": 0.005, "compose": 0.002, "commit": 0.010, "upstream_wait": 1.9, "relay": 0.082,
	} {
		h := one(t, families, "mnemo_overhead_seconds", "mnemo_overhead_component", component).GetHistogram()
		if h.GetSampleCount() != 1 || math.Abs(h.GetSampleSum()-want) > 1e-9 {
			t.Errorf("%s: %v of %d calls, want %v", component, h.GetSampleSum(), h.GetSampleCount(), want)
		}
	}
}

func TestOverhead_leaves_out_where_a_call_did_not_go(t *testing.T) {
	tel, _ := start(t, Options{})
	call := answered()
	call.Parse = Phase{Start: call.Start, Duration: time.Millisecond}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	_, span = tel.StartSummary(t.Context(), call.RequestModel)
	summary := answered()
	summary.Summary, summary.UpstreamWait = true, time.Second
	tel.EndChat(span, summary)
	if m := one(t, scrape(t, tel), "mnemo_overhead_seconds"); label(m.GetLabel(), "mnemo_overhead_component") != "parse" {
		t.Errorf("got %v", m)
	}
}

func TestOverhead_is_never_negative(t *testing.T) {
	tel, _ := start(t, Options{})
	call := answered()
	call.UpstreamWait = time.Hour // clocks differ
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	h := one(t, scrape(t, tel), "mnemo_overhead_seconds", "mnemo_overhead_component", "relay").GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != 0 {
		t.Errorf("got %v", h)
	}
}
