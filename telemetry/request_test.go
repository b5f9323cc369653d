package telemetry

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

func TestRequest_tells_the_parameters_of_the_conventions(t *testing.T) {
	var got texts
	got.request(`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"temperature":0.70,"top_p":1,
		"frequency_penalty":-0.5,"presence_penalty":2,"max_completion_tokens":256,"seed":-42,"n":3,"stop":["END","\n"],
		"service_tier":"flex","reasoning_effort":"high","response_format":{"type":"json_schema","json_schema":{}}}`, SemconvLatest)
	same(t, got, texts{
		attribute.Float64("gen_ai.request.temperature", 0.7),
		attribute.Float64("gen_ai.request.top_p", 1),
		attribute.Float64("gen_ai.request.frequency_penalty", -0.5),
		attribute.Float64("gen_ai.request.presence_penalty", 2),
		attribute.Int("gen_ai.request.max_tokens", 256),
		attribute.Int("gen_ai.request.seed", -42),
		attribute.Int("gen_ai.request.choice.count", 3),
		attribute.StringSlice("gen_ai.request.stop_sequences", []string{"END", "\n"}),
		attribute.String("openai.request.service_tier", "flex"),
		attribute.String("gen_ai.request.reasoning.level", "high"),
		attribute.String("gen_ai.output.type", "json"),
	})
}

func TestRequest_passes_over_what_says_nothing_or_is_wrong(t *testing.T) {
	for _, body := range []string{``, `null`, `[1]`, `not json`,
		`{"n":1,"temperature":"hot","seed":1.5,"stop":{},"max_tokens":1e999,"top_p":null,"service_tier":7,"response_format":"x","reasoning_effort":"low","modalities":3}`} {
		var got texts
		got.request(body, SemconvV141)
		if len(got) != 0 {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestRequest_is_bounded(t *testing.T) {
	var got texts
	got.request(`{"stop":["`+strings.Repeat("x", 10_000)+`"`+strings.Repeat(`,"y"`, 1000)+`],"service_tier":"`+strings.Repeat("z", 1000)+`"}`, SemconvV141)
	stop := got[0].Value.AsStringSlice()
	if len(stop) != maxListed || len(stop[0]) != maxLabel || len(got[1].Value.AsString()) != maxLabel {
		t.Errorf("%d entries, the first of %d bytes", len(stop), len(stop[0]))
	}
}

func TestRequest_tells_the_kind_of_answer_that_is_asked_for(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                  "",
		`{"response_format":{"type":"text"}}`: "text",
		`{"response_format":{"type":"json_object"}}`:                        "json",
		`{"modalities":["text","audio"]}`:                                   "speech",
		`{"response_format":{"type":"text"},"modalities":["text","audio"]}`: "speech",
		`{"modalities":["text"]}`:                                           "",
		`{"response_format":{"type":"grammar","g":1}}`:                      "",
	} {
		var got texts
		got.request(body, SemconvV141)
		if value := attribute.NewSet(got...); want == "" && len(got) != 0 || want != "" && value.Encoded(attribute.DefaultEncoder()) != "gen_ai.output.type="+want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestRequest_is_read_only_if_the_call_is_sampled(t *testing.T) {
	tel, _ := start(t, Options{Content: true})
	call := answered()
	call.Body = `{"temperature":1,"stop":["a","b"],"messages":[{"role":"user","content":"hi"}]}`
	if n := testing.AllocsPerRun(100, func() {
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Private

func same(t *testing.T, got, want texts) {
	t.Helper()
	g, w := attribute.NewSet(got...), attribute.NewSet(want...)
	if !g.Equals(&w) {
		t.Errorf("got\n%v, want\n%v", g.ToSlice(), w.ToSlice())
	}
}
