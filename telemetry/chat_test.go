package telemetry

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestStartCall_costs_nothing_while_tracing_is_off(t *testing.T) {
	tel, _ := start(t, Options{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { tel.StartCall(ctx, "gpt-4o", Origin{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	call := answered()
	if n := testing.AllocsPerRun(100, func() {
		_, span := tel.StartCall(ctx, "gpt-4o", Origin{})
		tel.EndChat(span, call)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStartCall_keeps_the_clients_trace_for_the_log_while_tracing_is_off(t *testing.T) {
	tel, written := start(t, Options{})
	ctx, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: clientTrace})
	tel.EndChat(span, answered())
	tel.Access(ctx, served())
	if got := written(); !strings.Contains(got, "trace_id="+clientTraceID) {
		t.Errorf("got %s", got)
	}
}

func TestStartCall_continues_the_clients_trace(t *testing.T) {
	for _, test := range []struct {
		header    string
		continues bool
	}{
		{clientTrace, true},
		{"", false},
		{"00-nonsense-01", false},
		{strings.Repeat("0", 100_000), false},
	} {
		tel, _ := start(t, Options{})
		recorder := recordSpans(t, tel)
		_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: test.header})
		tel.EndChat(span, answered())
		got := recorder.Ended()[0].SpanContext().TraceID().String()
		if (got == clientTraceID) != test.continues {
			t.Errorf("%.20q: trace %s", test.header, got)
		}
	}
}

func TestEndChat_fills_the_span(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{})
	tel.EndChat(span, answered())

	got := recorder.Ended()[0]
	if got.Name() != "chat gpt-4o" || got.SpanKind() != trace.SpanKindClient || got.Status().Code == codes.Error {
		t.Errorf("span %q, kind %v, status %v", got.Name(), got.SpanKind(), got.Status())
	}
	if !got.EndTime().Equal(answered().End) {
		t.Errorf("ended at %v", got.EndTime())
	}
	want := []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", "gpt-4o"),
		attribute.Bool("gen_ai.request.stream", true),
		attribute.String("gen_ai.conversation.id", "customer-4711"),
		attribute.String("gen_ai.response.id", "chatcmpl-1"),
		attribute.String("gen_ai.response.model", "gpt-4o-2024-08-06"),
		attribute.StringSlice("gen_ai.response.finish_reasons", []string{"stop"}),
		attribute.Float64("gen_ai.response.time_to_first_chunk", 0.5),
		attribute.Int("gen_ai.usage.input_tokens", 1000),
		attribute.Int("gen_ai.usage.output_tokens", 200),
		attribute.Int("gen_ai.usage.cache_read.input_tokens", 900),
		attribute.Int("gen_ai.usage.reasoning.output_tokens", 50),
		attribute.String("server.address", "api.openai.com"),
		attribute.Int("server.port", 443),
		attribute.Int("http.response.status_code", 200),
		attribute.String("mnemo.upstream.name", "openai"),
		attribute.String("mnemo.upstream.key", "a"),
		attribute.Int("mnemo.upstream.attempts", 2),
		attribute.String("mnemo.usage.source", "measured"),
		attribute.String("mnemo.memory.status", "ok"),
		attribute.Int("mnemo.memory.turns", 7),
		attribute.Int("mnemo.memory.tokens", 900),
		attribute.Int("mnemo.memory.saved", 0),
		attribute.Int("mnemo.memory.dropped", 3),
		attribute.String("mnemo.memory.summary", "none"),
	}
	sameAttributes(t, got, want)
	events := got.Events()
	if len(events) != 1 || events[0].Name != "mnemo.first_token" || !events[0].Time.Equal(answered().FirstChunk) {
		t.Errorf("events %v", events)
	}
}

func TestEndChat_says_only_what_is_known(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	_, span := tel.StartCall(t.Context(), "nope", Origin{})
	call := answered()
	tel.EndChat(span, &ChatCall{RequestModel: "nope", Status: 404, Attempts: 1, Start: call.Start, End: call.End})
	got := recorder.Ended()[0]
	if got.Status().Code != codes.Error || got.Status().Description != "404" {
		t.Errorf("status %v", got.Status())
	}
	sameAttributes(t, got, []attribute.KeyValue{
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", "nope"),
		attribute.Bool("gen_ai.request.stream", false),
		attribute.Int("http.response.status_code", 404),
		attribute.Int("mnemo.upstream.attempts", 1),
		attribute.String("error.type", "404"),
	})
}

func TestEndChat_records_the_metrics_of_the_conventions(t *testing.T) {
	tel, _ := start(t, Options{})
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{})
	tel.EndChat(span, answered())
	families := scrape(t, tel)

	for _, test := range []struct {
		name   string
		labels []string
		sum    float64
		bounds []float64
	}{
		{"gen_ai_client_token_usage", []string{"gen_ai_token_type", "input"}, 1000, tokenBuckets},
		{"gen_ai_client_token_usage", []string{"gen_ai_token_type", "output"}, 200, tokenBuckets},
		{"gen_ai_client_operation_duration_seconds", nil, 2, secondBuckets},
		{"gen_ai_client_operation_time_to_first_chunk_seconds", nil, 0.5, secondBuckets},
		{"gen_ai_client_operation_time_per_output_chunk_seconds", nil, 0.015, secondBuckets},
	} {
		labels := append([]string{"gen_ai_request_model", "gpt-4o", "gen_ai_operation_name", "chat",
			"gen_ai_provider_name", "openai", "mnemo_upstream_name", "openai"}, test.labels...)
		h := one(t, families, test.name, labels...).GetHistogram()
		if h.GetSampleCount() != 1 || math.Abs(h.GetSampleSum()-test.sum) > 1e-9 {
			t.Errorf("%s %v: %v", test.name, test.labels, h)
		}
		var bounds []float64
		for _, b := range h.GetBucket() {
			bounds = append(bounds, b.GetUpperBound())
		}
		if !slices.Equal(bounds, append(slices.Clone(test.bounds), math.Inf(1))) {
			t.Errorf("%s has buckets %v", test.name, bounds)
		}
	}
	for name, want := range map[string]float64{
		"mnemo_memory_turns_total": 7, "mnemo_memory_tokens_total": 900, "mnemo_memory_dropped_total": 3,
	} {
		if got := one(t, families, name).GetCounter().GetValue(); got != want {
			t.Errorf("%s is %v", name, got)
		}
	}
	one(t, families, "mnemo_memory_calls_total", "mnemo_memory_status", "ok")
}

func TestEndChat_keeps_estimated_tokens_apart_and_records_none_that_are_not_known(t *testing.T) {
	tel, _ := start(t, Options{})
	for _, source := range []UsageSource{"", Estimated} {
		call := answered()
		call.Usage.Source, call.FirstChunk = source, call.Start
		call.Chunks = 1
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
	}
	families := scrape(t, tel)
	one(t, families, "gen_ai_client_token_usage", "gen_ai_token_type", "input")
	one(t, families, "gen_ai_client_token_usage", "mnemo_usage_source", "estimated", "gen_ai_token_type", "output")
	if families["gen_ai_client_operation_time_per_output_chunk_seconds"] != nil {
		t.Error("one chunk has no distance to a next one")
	}
}

func TestEndChat_gives_labels_to_a_bounded_number_of_models(t *testing.T) {
	tel, _ := start(t, Options{})
	for i := range 10_000 {
		call := answered()
		call.RequestModel = fmt.Sprint("model-", i)
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
	}
	families := scrape(t, tel)
	if got := len(families["gen_ai_client_operation_duration_seconds"].GetMetric()); got != DefaultMaxModels+1 {
		t.Errorf("%d series", got)
	}
	rest := one(t, families, "gen_ai_client_operation_duration_seconds", "gen_ai_request_model", other)
	if got := rest.GetHistogram().GetSampleCount(); got != 10_000-DefaultMaxModels {
		t.Errorf("%d calls of other models", got)
	}
}

func TestEndChat_gives_no_label_to_a_model_that_never_answered(t *testing.T) {
	tel, _ := start(t, Options{MaxModels: 2})
	end := func(model string, status int, failure string) {
		call := answered()
		call.RequestModel, call.Status, call.ErrorType = model, status, failure
		_, span := tel.StartCall(t.Context(), model, Origin{})
		tel.EndChat(span, call)
	}
	for i := range 100 {
		end(fmt.Sprint("guess-", i), 404, "")
		end("gpt-4o", 500, fmt.Sprint("failure-", i))
	}
	end("gpt-4o", 200, "")
	end("gpt-4o", 504, "timeout")
	families := scrape(t, tel)
	one(t, families, "gen_ai_client_operation_duration_seconds", "gen_ai_request_model", "gpt-4o", "error_type", "")
	one(t, families, "gen_ai_client_operation_duration_seconds", "gen_ai_request_model", "gpt-4o", "error_type", errorOther)
	one(t, families, "gen_ai_client_operation_duration_seconds", "gen_ai_request_model", other, "error_type", "404")
	if got := len(families["gen_ai_client_operation_duration_seconds"].GetMetric()); got != maxErrorTypes+1+2 {
		t.Errorf("%d series", got)
	}
}

func TestEndChat_survives_a_model_that_is_no_text(t *testing.T) {
	tel, written := start(t, Options{})
	recorder := recordSpans(t, tel)
	call, request := answered(), served()
	call.RequestModel = strings.Repeat("\xff", 1000)
	request.Model = call.RequestModel
	ctx, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	tel.Access(ctx, request)
	one(t, scrape(t, tel), "gen_ai_client_operation_duration_seconds", "gen_ai_request_model", other)
	if got := recorder.Ended()[0].Name(); got != "chat " {
		t.Errorf("span %q", got)
	}
	if got := written(); len(got) > 1000 {
		t.Errorf("a line of %d bytes", len(got))
	}
}

// Private

func sameAttributes(t *testing.T, span sdktrace.ReadOnlySpan, want []attribute.KeyValue) {
	t.Helper()
	got := attribute.NewSet(span.Attributes()...)
	expected := attribute.NewSet(want...)
	if !got.Equals(&expected) {
		t.Errorf("attributes\n%v, want\n%v", got.ToSlice(), expected.ToSlice())
	}
}
