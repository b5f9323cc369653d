package telemetry

import (
	"testing"
	"time"
)

func TestObserveUpstreams_is_asked_at_each_scrape(t *testing.T) {
	tel, _ := start(t, Options{})
	if scrape(t, tel)["mnemo_upstream_in_flight"] != nil {
		t.Error("there are no upstreams yet")
	}
	call := answered()
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)

	left := 1500 * time.Millisecond
	tel.ObserveUpstreams(func() []UpstreamState {
		return []UpstreamState{{
			Name: "openai", InFlight: 3, Queued: 7,
			Breakers:  map[string]Breaker{"gpt-4o": BreakerHalfOpen, "x": BreakerClosed, "y": BreakerOpen, "z": BreakerHalfOpen},
			Cooldowns: map[string]time.Duration{"a": left, "b": -time.Second},
		}}
	})
	families := scrape(t, tel)
	gauge := func(name string, labels ...string) float64 {
		return one(t, families, name, append(labels, "mnemo_upstream_name", "openai")...).GetGauge().GetValue()
	}
	if got := gauge("mnemo_upstream_in_flight"); got != 3 {
		t.Errorf("%v in flight", got)
	}
	if got := gauge("mnemo_upstream_queued"); got != 7 {
		t.Errorf("%v wait", got)
	}
	if got := gauge("mnemo_upstream_key_cooldown_seconds", "mnemo_upstream_key", "a"); got != 1.5 {
		t.Errorf("key a cools down for %v s", got)
	}
	if got := gauge("mnemo_upstream_key_cooldown_seconds", "mnemo_upstream_key", "b"); got != 0 {
		t.Errorf("key b cools down for %v s", got)
	}
	if got := gauge("mnemo_upstream_breaker_state", "gen_ai_request_model", "gpt-4o"); got != 1 {
		t.Errorf("breaker of gpt-4o: %v", got)
	}
	if got := gauge("mnemo_upstream_breaker_state", "gen_ai_request_model", other); got != 2 {
		t.Errorf("worst breaker of the other models: %v", got)
	}
	left = 0
	families = scrape(t, tel)
	if got := gauge("mnemo_upstream_key_cooldown_seconds", "mnemo_upstream_key", "a"); got != 0 {
		t.Errorf("key a still cools down for %v s", got)
	}
}
