package telemetry

import (
	"regexp"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func TestStartCall_begins_when_the_request_came(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	begin := answered().Start
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Start: begin})
	tel.EndChat(span, answered())
	if got := recorder.Ended()[0].StartTime(); !got.Equal(begin) {
		t.Errorf("began at %v", got)
	}
	before := time.Now()
	_, span = tel.StartCall(t.Context(), "gpt-4o", Origin{})
	tel.EndChat(span, answered())
	if got := recorder.Ended()[1].StartTime(); got.Before(before) {
		t.Errorf("began at %v", got)
	}
}

func TestTraceHeader_continues_the_clients_trace_upstream(t *testing.T) {
	tel, _ := start(t, Options{})
	recordSpans(t, tel)
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: clientTrace, Tracestate: "vendor=opaque,other=1"})
	defer tel.EndChat(span, answered())
	parent, state := tel.TraceHeader(span)
	if want := "00-" + clientTraceID + "-" + span.SpanContext().SpanID().String() + "-01"; parent != want || state != "vendor=opaque,other=1" {
		t.Errorf("got %s, %s, want %s", parent, state, want)
	}
	if parent == clientTrace {
		t.Error("the span is not the upstream's parent")
	}
}

func TestTraceHeader_begins_a_trace_where_the_client_has_none(t *testing.T) {
	tel, _ := start(t, Options{})
	recordSpans(t, tel)
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Tracestate: "lonely=1"})
	defer tel.EndChat(span, answered())
	parent, state := tel.TraceHeader(span)
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(parent) || state != "" {
		t.Errorf("got %q, %q", parent, state)
	}
}

func TestTraceHeader_says_that_a_call_is_not_sampled(t *testing.T) {
	tel, _ := start(t, Options{})
	tel.tracing = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	tel.tracer = tel.tracing.Tracer(instrumentationName)
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: clientTrace})
	parent, _ := tel.TraceHeader(span)
	if !strings.HasPrefix(parent, "00-"+clientTraceID) || !strings.HasSuffix(parent, "-00") {
		t.Errorf("got %q", parent)
	}
	if tel.Captures(span) {
		t.Error("content of a call that is not sampled is captured")
	}
}

func TestTraceHeader_leaves_the_clients_own_alone_while_tracing_is_off(t *testing.T) {
	tel, _ := start(t, Options{})
	_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: clientTrace})
	if parent, state := tel.TraceHeader(span); parent != "" || state != "" {
		t.Errorf("got %q, %q", parent, state)
	}
	if n := testing.AllocsPerRun(100, func() { tel.TraceHeader(span) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if parent, _ := tel.TraceHeader(nil); parent != "" {
		t.Errorf("a call without a span has %q", parent)
	}
}

func TestStartCall_survives_any_header(t *testing.T) {
	tel, _ := start(t, Options{})
	recordSpans(t, tel)
	for _, state := range []string{strings.Repeat("a=b,", 100_000), "\xff\x00", "=,=", "a=\n"} {
		_, span := tel.StartCall(t.Context(), "gpt-4o", Origin{Traceparent: clientTrace, Tracestate: state})
		parent, got := tel.TraceHeader(span)
		if !strings.HasPrefix(parent, "00-"+clientTraceID) || got != "" {
			t.Errorf("%.20q: %q, %.40q", state, parent, got)
		}
		tel.EndChat(span, answered())
	}
}
