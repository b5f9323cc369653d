package telemetry

import (
	"testing"

	"github.com/tidwall/gjson"
)

func TestMeasure_takes_what_is_reported_and_leaves_the_rest(t *testing.T) {
	u := Usage{Reasoning: 4, Source: Estimated}
	for _, nothing := range []string{``, `null`, `7`, `[]`} {
		if u.Measure(gjson.Parse(nothing)) || u.Source != Estimated {
			t.Errorf("%q is taken for a report: %+v", nothing, u)
		}
	}
	ok := u.Measure(gjson.Parse(`{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64},"total_tokens":120}`))
	if want := (Usage{Input: 100, Output: 20, CachedInput: 64, Reasoning: 4, Source: Measured}); !ok || u != want {
		t.Errorf("%v, %+v, want %+v", ok, u, want)
	}
}

func TestMeasure_knows_the_names_of_the_providers(t *testing.T) {
	for name, test := range map[string]struct {
		said string
		want Usage
	}{
		"OpenAI": {`{"prompt_tokens":2000,"completion_tokens":300,"total_tokens":2300,
			"prompt_tokens_details":{"cached_tokens":1024,"cache_write_tokens":512,"audio_tokens":40,"text_tokens":1960},
			"completion_tokens_details":{"reasoning_tokens":128,"audio_tokens":60,"accepted_prediction_tokens":0}}`,
			Usage{Input: 2000, Output: 300, CachedInput: 1024, CacheWrite: 512, Reasoning: 128, AudioInput: 40, AudioOutput: 60}},
		"OpenRouter": {`{"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":0},"cost":0.95,
			"prompt_tokens":194,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":100,"audio_tokens":0},"total_tokens":196}`,
			Usage{Input: 194, Output: 2, CacheWrite: 100}},
		"DeepSeek": {`{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`,
			Usage{Input: 100, Output: 5, CachedInput: 64}},
		"DeepSeek, both names": {`{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_tokens_details":{"cached_tokens":64}}`,
			Usage{Input: 100, Output: 5, CachedInput: 64}},
		"Moonshot": {`{"prompt_tokens":100,"completion_tokens":5,"cached_tokens":19}`,
			Usage{Input: 100, Output: 5, CachedInput: 19}},
		"Anthropic behind a gateway": {`{"prompt_tokens":100,"completion_tokens":5,"cache_creation_input_tokens":30,"cache_read_input_tokens":60,
			"prompt_tokens_details":{"cached_tokens":60,"cache_creation_tokens":30}}`,
			Usage{Input: 100, Output: 5, CachedInput: 60, CacheWrite: 30}},
		"Anthropic's own layer": {`{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":null}`,
			Usage{Input: 100, Output: 5}},
		"xAI, thoughts beside the answer": {`{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}`,
			Usage{Input: 32, Output: 103, Reasoning: 94}},
	} {
		var u Usage
		test.want.Source = Measured
		if ok := u.Measure(gjson.Parse(test.said)); !ok || u != test.want {
			t.Errorf("%s: %+v, want %+v", name, u, test.want)
		}
	}
}

func TestMeasure_brings_figures_within_bounds(t *testing.T) {
	for said, want := range map[string]Usage{
		`{"prompt_tokens":-5,"completion_tokens":"7","total_tokens":{}}`:                                                                                                 {},
		`{"prompt_tokens":1e300,"completion_tokens":99999999999999999999}`:                                                                                               {Input: maxTokens, Output: maxTokens},
		`{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":50,"cache_write_tokens":50,"audio_tokens":11}}`:                              {Input: 10, Output: 3, CachedInput: 10, AudioInput: 10},
		`{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":50}}`:                                                 {Input: 10, Output: 3, CachedInput: 6, CacheWrite: 4},
		`{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"completion_tokens_details":{"reasoning_tokens":9,"audio_tokens":4},"prompt_cache_hit_tokens":-10}`: {Input: 10, Output: 3, Reasoning: 3, AudioOutput: 3},
		`{"prompt_tokens":10.9,"completion_tokens":true,"prompt_tokens_details":[1],"completion_tokens_details":"x"}`:                                                    {Input: 10},
	} {
		var u Usage
		want.Source = Measured
		if u.Measure(gjson.Parse(said)); u != want {
			t.Errorf("%s\n%+v, want %+v", said, u, want)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add(`{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"completion_tokens_details":{"reasoning_tokens":9}}`)
	f.Add(`{"cached_tokens":1e999,"prompt_tokens":-0}`)
	f.Fuzz(func(t *testing.T, said string) {
		var u Usage
		u.Measure(gjson.Parse(said))
		if u.Input < 0 || u.Output < 0 || u.CachedInput < 0 || u.CacheWrite < 0 || u.Reasoning < 0 || u.AudioInput < 0 || u.AudioOutput < 0 ||
			u.CachedInput+u.CacheWrite > u.Input || u.AudioInput > u.Input || u.Reasoning > u.Output || u.AudioOutput > u.Output {
			t.Errorf("%+v", u)
		}
	})
}
