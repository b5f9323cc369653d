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
