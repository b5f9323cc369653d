package telemetry

import (
	"errors"
	"strings"
	"testing"
)

func TestSemconv_is_v141_unless_something_else_is_asked_for(t *testing.T) {
	for _, test := range []struct {
		asked        Semconv
		v141, latest bool
	}{{"", true, false}, {SemconvV141, true, false}, {SemconvLatest, false, true}, {SemconvBoth, true, true}} {
		s, err := test.asked.check()
		if err != nil || s.v141() != test.v141 || s.latest() != test.latest {
			t.Errorf("%q: v1.41 %v, latest %v, %v", test.asked, s.v141(), s.latest(), err)
		}
	}
}

func TestStart_says_which_conventions_it_does_not_know(t *testing.T) {
	_, err := Start(t.Context(), Options{Semconv: "v1.36", Getenv: empty})
	if !errors.Is(err, ErrSemconv) || !strings.Contains(err.Error(), "v1.36") {
		t.Errorf("got %v", err)
	}
}

func TestSemconv_decides_which_metrics_and_attributes_there_are(t *testing.T) {
	counters := []string{"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"}
	for semconv, want := range map[Semconv]struct{ v141, latest bool }{
		SemconvV141: {true, false}, SemconvLatest: {false, true}, SemconvBoth: {true, true},
	} {
		tel, _ := start(t, Options{Semconv: semconv})
		recorder := recordSpans(t, tel)
		call := answered()
		call.Usage = Usage{Input: 1000, Output: 200, CachedInput: 600, CacheWrite: 300, Reasoning: 50, AudioInput: 10, AudioOutput: 20, Source: Measured}
		call.Memory.Summary = "used"
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)

		families := scrape(t, tel)
		if got := families["gen_ai_client_token_usage"] != nil; got != want.v141 {
			t.Errorf("%s: the histogram of v1.41 %v", semconv, got)
		}
		for _, name := range counters {
			if got := families["gen_ai_client_inference_usage_"+name+"_total"] != nil; got != want.latest {
				t.Errorf("%s: counter of %s %v", semconv, name, got)
			}
		}
		attrs := attributesOf(recorder.Ended()[0])
		for name, there := range map[string]bool{
			"gen_ai.usage.cache_creation.input_tokens": want.v141,
			"gen_ai.usage.cache_write.input_tokens":    want.latest,
			"gen_ai.usage.audio.input_tokens":          want.latest,
			"gen_ai.usage.audio.output_tokens":         want.latest,
			"gen_ai.conversation.compacted":            want.latest,
			"gen_ai.usage.cache_read.input_tokens":     true,
		} {
			if _, ok := attrs[name]; ok != there {
				t.Errorf("%s: attribute %s %v", semconv, name, ok)
			}
		}
	}
}
