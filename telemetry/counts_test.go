package telemetry

import "testing"

func TestCountUsage_keeps_modalities_and_sources_apart(t *testing.T) {
	tel, _ := start(t, Options{Semconv: SemconvLatest})
	call := answered()
	call.Usage = Usage{Input: 1000, Output: 200, CachedInput: 600, CacheWrite: 300, Reasoning: 50, AudioInput: 10, Source: Measured}
	guessed := answered()
	guessed.Usage = Usage{Input: 7, Output: 3, Source: Estimated}
	for _, c := range []*ChatCall{call, call, guessed} {
		_, span := tel.StartCall(t.Context(), c.RequestModel, Origin{})
		tel.EndChat(span, c)
	}
	families := scrape(t, tel)
	for _, test := range []struct {
		name, source, modality string
		want                   float64
	}{
		{"input_tokens", "measured", "unknown", 2 * 990},
		{"input_tokens", "measured", "audio", 2 * 10},
		{"input_tokens", "estimated", "unknown", 7},
		{"output_tokens", "measured", "unknown", 2 * 200},
		{"output_tokens", "estimated", "unknown", 3},
		{"cache_read_input_tokens", "measured", "unknown", 2 * 600},
		{"cache_write_input_tokens", "measured", "unknown", 2 * 300},
		{"reasoning_output_tokens", "measured", "unknown", 2 * 50},
	} {
		m := one(t, families, "gen_ai_client_inference_usage_"+test.name+"_total", "gen_ai_token_modality", test.modality,
			"mnemo_usage_source", test.source, "gen_ai_request_model", "gpt-4o", "mnemo_upstream_name", "openai")
		if got := m.GetCounter().GetValue(); got != test.want {
			t.Errorf("%s %s %s: %v, want %v", test.name, test.source, test.modality, got, test.want)
		}
	}
}

func TestCountUsage_tells_the_cached_share_of_what_was_measured(t *testing.T) {
	tel, _ := start(t, Options{})
	for _, u := range []Usage{{Input: 1000, CachedInput: 900, Source: Measured}, {Input: 1000, Source: Measured}, {Input: 500, Source: Estimated}} {
		call := answered()
		call.Usage = u
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
	}
	families := scrape(t, tel)
	all := one(t, families, "mnemo_prompt_tokens_total", "gen_ai_request_model", "gpt-4o").GetCounter().GetValue()
	cached := one(t, families, "mnemo_prompt_cached_tokens_total", "gen_ai_request_model", "gpt-4o").GetCounter().GetValue()
	if all != 2000 || cached != 900 {
		t.Errorf("%v of %v tokens were cached", cached, all)
	}
}
