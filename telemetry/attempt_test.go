package telemetry

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
)

func TestAttempt_counts_by_upstream_and_outcome(t *testing.T) {
	tel, _ := start(t, Options{})
	tel.Attempt(t.Context(), "openai", "rate_limited", 429)
	tel.Attempt(t.Context(), "openai", "rate_limited", 429)
	tel.Attempt(t.Context(), "azure", "ok", 200)
	families := scrape(t, tel)
	for upstream, want := range map[string]float64{"openai": 2, "azure": 1} {
		m := one(t, families, "mnemo_upstream_attempts_total", "mnemo_upstream_name", upstream)
		if got := m.GetCounter().GetValue(); got != want {
			t.Errorf("%s: %v", upstream, got)
		}
	}
	one(t, families, "mnemo_upstream_attempts_total", "mnemo_upstream_outcome", "rate_limited")
}

func TestEndChat_counts_why_there_were_further_attempts(t *testing.T) {
	tel, _ := start(t, Options{})
	call := answered()
	call.Tries = []Attempt{
		{Upstream: "openai", Model: "gpt-4o"},
		{Upstream: "openai", Model: "gpt-4o"},
		{Upstream: "openai", Model: "gpt-4o", Key: "b"},
		{Upstream: "azure", Model: "gpt-4o-prod"},
		{Upstream: "azure", Model: "gpt-4o-mini"},
		{Upstream: "groq", Model: "llama", Hedge: true},
		{Upstream: "openai", Model: "gpt-4o", Resume: true},
	}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	families := scrape(t, tel)
	for name, want := range map[string]struct {
		upstream string
		n        float64
	}{"retries": {"openai", 2}, "fallbacks": {"azure", 2}, "hedges": {"groq", 1}, "rescues": {"openai", 1}} {
		m := one(t, families, "mnemo_upstream_"+name+"_total")
		if got := m.GetCounter().GetValue(); got != want.n || label(m.GetLabel(), "mnemo_upstream_name") != want.upstream {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestTraceAttempts_blames_nobody_for_a_client_that_left_or_a_faster_one(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	call := answered()
	for _, outcome := range []string{"ok", "outrun", "client_gone", "server_error", "client_error"} {
		call.Tries = append(call.Tries, Attempt{Upstream: "openai", Outcome: outcome, Start: call.Start, Duration: time.Second})
	}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	for i, want := range []codes.Code{codes.Unset, codes.Unset, codes.Unset, codes.Error, codes.Error} {
		if got := recorder.Ended()[i]; got.Status().Code != want {
			t.Errorf("%s has status %v", call.Tries[i].Outcome, got.Status())
		}
	}
}

func TestTraceAttempts_are_bounded(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	call := answered()
	for i := range 10 * maxAttempts {
		call.Tries = append(call.Tries, Attempt{Upstream: "openai", Outcome: fmt.Sprint(i), Start: call.Start})
	}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	if got := len(recorder.Ended()); got != maxAttempts+1 {
		t.Errorf("%d spans", got)
	}
}
