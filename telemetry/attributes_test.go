package telemetry

import (
	"fmt"
	"slices"
	"testing"
)

func TestAttributes_tell_all_that_is_known_of_an_answer(t *testing.T) {
	call := answered()
	call.RequestID, call.Tenant, call.ServiceTier, call.Fingerprint = "req-1", "shop", "flex", "fp_1"
	call.FinishReasons = []string{"stop", "length"}
	call.Cost, call.Priced, call.CostSource = 1_234_567, true, CostTable
	call.Cached, call.Degraded = true, true
	call.ServerAddress, call.ServerPort = "", 0
	call.Tries = []Attempt{
		{Upstream: "openai", Outcome: "server_error", ServerAddress: "one.example", ServerPort: 1},
		{Upstream: "openai", Outcome: "ok", ServerAddress: "two.example", ServerPort: 2},
		{Upstream: "azure", Outcome: "outrun", ServerAddress: "three.example", ServerPort: 3, Billed: true, Usage: Usage{Input: 1, Source: Estimated}, Cost: 1, Priced: true},
	}
	got := make(map[string]string)
	for _, a := range call.attributes("", SemconvV141) {
		got[string(a.Key)] = a.Value.String()
	}
	for name, want := range map[string]string{
		"mnemo.request.id": "req-1", "mnemo.tenant": "shop", "openai.response.service_tier": "flex",
		"openai.response.system_fingerprint": "fp_1", "gen_ai.response.finish_reasons": `["stop","length"]`,
		"mnemo.cost.usd": "0.001234568", "mnemo.cost.source": "table", "mnemo.cached": "true", "mnemo.degraded": "true",
		"server.address": "two.example", "server.port": "2",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestAttributes_bound_the_finish_reasons(t *testing.T) {
	var call ChatCall
	for i := range 1000 {
		call.FinishReasons = append(call.FinishReasons, fmt.Sprint(i))
	}
	if got := call.finishReasons(); len(got) != maxListed || got[1] != "1" {
		t.Errorf("%d reasons", len(got))
	}
	call = ChatCall{FinishReason: "st\xffop"}
	if got := call.finishReasons(); !slices.Equal(got, []string{"stop"}) {
		t.Errorf("got %q", got)
	}
}
