package telemetry

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
)

func TestDeleted_is_a_span_that_continues_the_callers_trace(t *testing.T) {
	for semconv, want := range map[Semconv]struct{ name, operation string }{
		SemconvV141: {"delete", ""}, SemconvBoth: {"delete", "delete_memory"}, SemconvLatest: {"delete_memory", "delete_memory"},
	} {
		tel, _ := start(t, Options{Semconv: semconv})
		recorder := recordSpans(t, tel)
		ctx := (&Origin{Traceparent: clientTrace}).extract(t.Context())
		begin := time.Now().Add(-time.Minute)
		tel.Deleted(ctx, "customer-4711", begin, "")
		tel.Deleted(ctx, "customer-4711", begin, "store")

		got := recorder.Ended()
		attrs := attributesOf(got[0])
		if got[0].Name() != want.name || attrs["gen_ai.operation.name"].AsString() != want.operation ||
			attrs["gen_ai.conversation.id"].AsString() != "customer-4711" || !got[0].StartTime().Equal(begin) ||
			got[0].SpanContext().TraceID().String() != clientTraceID {
			t.Errorf("%s: %s %v of trace %s", semconv, got[0].Name(), attrs, got[0].SpanContext().TraceID())
		}
		if got[1].Status().Code != codes.Error || attributesOf(got[1])["error.type"].AsString() != "store" {
			t.Errorf("one that failed: %v", got[1].Status())
		}
	}
}

func TestDeleted_costs_nothing_while_tracing_is_off(t *testing.T) {
	tel, _ := start(t, Options{})
	if n := testing.AllocsPerRun(100, func() { tel.Deleted(t.Context(), "x", time.Time{}, "") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParts_tell_why_they_failed(t *testing.T) {
	tel, _ := start(t, Options{})
	recorder := recordSpans(t, tel)
	call := answered()
	call.Load = Phase{Start: call.Start, Duration: time.Second, Error: "store"}
	_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
	tel.EndChat(span, call)
	got := recorder.Ended()[0]
	if got.Name() != "load" || got.Status().Code != codes.Error || attributesOf(got)["error.type"].AsString() != "store" ||
		got.EndTime().Sub(got.StartTime()) != time.Second {
		t.Errorf("%s %v %v", got.Name(), got.Status(), got.Attributes())
	}
}
