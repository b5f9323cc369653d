package telemetry

import (
	"fmt"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

func TestTotal_is_the_answer_and_what_was_billed_beside_it(t *testing.T) {
	measured := Usage{Input: 10, Source: Measured}
	for name, test := range map[string]struct {
		call   ChatCall
		want   int64
		priced bool
	}{
		"nothing":                {ChatCall{}, 0, false},
		"an answer":              {ChatCall{Usage: measured, Cost: 7, Priced: true}, 7, true},
		"of the cache":           {ChatCall{Priced: true, Cached: true}, 0, true},
		"without a price":        {ChatCall{Usage: measured}, 0, false},
		"with a loser":           {ChatCall{Usage: measured, Cost: 7, Priced: true, Tries: []Attempt{{Billed: true, Usage: measured, Cost: 5, Priced: true}, {Cost: 100}}}, 12, true},
		"a loser has no price":   {ChatCall{Usage: measured, Cost: 7, Priced: true, Tries: []Attempt{{Billed: true, Usage: measured}}}, 0, false},
		"a loser left no trace":  {ChatCall{Usage: measured, Cost: 7, Priced: true, Tries: []Attempt{{Billed: true}}}, 7, true},
		"only a failed attempt":  {ChatCall{Tries: []Attempt{{Billed: true, Usage: measured, Cost: 5, Priced: true}}}, 5, true},
		"an answer has no price": {ChatCall{Usage: measured, Tries: []Attempt{{Billed: true, Usage: measured, Cost: 5, Priced: true}}}, 0, false},
	} {
		if got, priced := test.call.Total(); got != test.want || priced != test.priced {
			t.Errorf("%s: %d, %v, want %d, %v", name, got, priced, test.want, test.priced)
		}
	}
}

func TestEndChat_counts_cost_by_model_upstream_operation_tenant_and_source(t *testing.T) {
	tel, _ := start(t, Options{})
	call := answered()
	call.Tenant, call.Cost, call.Priced, call.CostSource = "shop", 3_000_000, true, CostConfig
	call.Tries = []Attempt{{Upstream: "azure", Billed: true, Usage: Usage{Input: 1000, Output: 9, Source: Estimated}, Cost: 500_000, Priced: true, CostSource: CostTable}}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	summary := &ChatCall{Summary: true, RequestModel: "gpt-4o", Upstream: "openai", Tenant: "shop", Status: 200,
		Usage: Usage{Input: 1, Source: Measured}, Cost: 1000, Priced: true, CostSource: CostTable}
	_, span = tel.StartSummary(t.Context(), "gpt-4o")
	tel.EndChat(span, summary)

	families := scrape(t, tel)
	for _, test := range []struct {
		operation, upstream, source string
		want                        float64
	}{{"chat", "openai", "config", 0.003}, {"chat", "azure", "table", 0.0005}, {"summarize", "openai", "table", 0.000001}} {
		m := one(t, families, "mnemo_cost_usd_total", "gen_ai_operation_name", test.operation, "mnemo_upstream_name", test.upstream,
			"mnemo_cost_source", test.source, "mnemo_tenant", "shop", "gen_ai_request_model", "gpt-4o")
		if got := m.GetCounter().GetValue(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	tokens := one(t, families, "gen_ai_client_token_usage", "mnemo_upstream_name", "azure", "gen_ai_token_type", "input")
	if label(tokens.GetLabel(), "mnemo_usage_source") != "estimated" || tokens.GetHistogram().GetSampleSum() != 1000 {
		t.Errorf("tokens of the attempt that was billed: %v", tokens)
	}
	if families["mnemo_cost_unpriced_total"] != nil {
		t.Error("something has no price")
	}
}

func TestEndChat_counts_what_has_no_price_and_never_as_free(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	call := answered()
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	refused := &ChatCall{RequestModel: "gpt-4o", Status: 429, Start: call.Start, End: call.End}
	_, span = tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, refused)
	families := scrape(t, tel)
	if families["mnemo_cost_usd_total"] != nil {
		t.Errorf("a cost: %v", families["mnemo_cost_usd_total"])
	}
	if got := one(t, families, "mnemo_cost_unpriced_total").GetCounter().GetValue(); got != 1 {
		t.Errorf("%v calls without a price", got)
	}
	for _, span := range recorder.Ended() {
		if cost, ok := attributesOf(span)["mnemo.cost.usd"]; ok {
			t.Errorf("a span costs %v", cost)
		}
	}
}

func TestEndChat_bounds_the_labels_of_tenants(t *testing.T) {
	for limit, want := range map[int]int{0: DefaultMaxTenants + 1, 3: 4, -1: 1} {
		tel, _ := start(t, Options{MaxTenants: limit})
		end := func(tenant string, status int) {
			call := answered()
			call.Tenant, call.Status, call.Cost, call.Priced, call.CostSource = tenant, status, 1, true, CostTable
			_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
			tel.EndChat(span, call)
		}
		for i := range 100 {
			end(fmt.Sprint("guess-", i), 401) // gets no label
		}
		for i := range 100 {
			end(fmt.Sprint("tenant-", i), 200)
		}
		series := scrape(t, tel)["mnemo_cost_usd_total"].GetMetric()
		names := make(map[string]bool)
		for _, m := range series {
			names[label(m.GetLabel(), "mnemo_tenant")] = true
		}
		if len(names) != want || !names[other] || names["guess-0"] || sum(series) != 200e-9 {
			t.Errorf("with %d: labels %v, %v dollars", limit, names, sum(series))
		}
	}
}

// Private

func sum(series []*dto.Metric) (total float64) {
	var nanos int64
	for _, m := range series {
		nanos += int64(m.GetCounter().GetValue()*nano + 0.5)
	}
	return float64(nanos) / nano
}
