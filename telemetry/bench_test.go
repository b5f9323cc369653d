package telemetry

import (
	"context"
	"io"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func BenchmarkCall(b *testing.B) {
	for _, format := range []string{LogText, LogJSON} {
		b.Run(format, func(b *testing.B) {
			t, err := Start(b.Context(), Options{Getenv: empty, LogFormat: format, LogOutput: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			defer t.Shutdown(context.Background())
			call, request := answered(), served()
			b.ReportAllocs()
			for b.Loop() {
				ctx, span := t.StartCall(context.Background(), call.RequestModel, Origin{})
				t.EndChat(span, call)
				t.Access(ctx, request)
			}
		})
	}
}

func BenchmarkCall_traced(b *testing.B) {
	t, err := Start(b.Context(), Options{Getenv: empty, LogOutput: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	defer t.Shutdown(context.Background())
	t.tracing = sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	t.tracer = t.tracing.Tracer(instrumentationName)
	call, request := answered(), served()
	b.ReportAllocs()
	for b.Loop() {
		ctx, span := t.StartCall(context.Background(), call.RequestModel, Origin{Traceparent: clientTrace})
		t.EndChat(span, call)
		t.Access(ctx, request)
	}
}

func BenchmarkEndChat(b *testing.B) {
	t, err := Start(b.Context(), Options{Getenv: empty, LogOutput: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	defer t.Shutdown(context.Background())
	call := answered()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, span := t.StartCall(context.Background(), call.RequestModel, Origin{})
			t.EndChat(span, call)
		}
	})
}

// BenchmarkEndChat_whole ends calls of which all is known, with no tracing, with one
// in ten sampled, and with all.
func BenchmarkEndChat_whole(b *testing.B) {
	for name, ratio := range map[string]float64{"untraced": -1, "0.1": 0.1, "1": 1} {
		b.Run(name, func(b *testing.B) {
			t, err := Start(b.Context(), Options{Getenv: empty, LogOutput: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			defer t.Shutdown(context.Background())
			if ratio >= 0 {
				t.backlog = newBacklog(tracetest.NewNoopExporter(), empty)
				t.tracing = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(t.backlog), sdktrace.WithSampler(sdktrace.TraceIDRatioBased(ratio)))
				t.tracer = t.tracing.Tracer(instrumentationName)
			}
			call := memoryCall()
			call.UpstreamWait = call.Tries[0].Duration
			call.Tenant, call.Body = "shop", conversation
			b.ReportAllocs()
			for b.Loop() {
				_, span := t.StartCall(context.Background(), call.RequestModel, Origin{})
				t.EndChat(span, call)
			}
		})
	}
}

func BenchmarkAccess(b *testing.B) {
	t, err := Start(b.Context(), Options{Getenv: empty, LogOutput: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	defer t.Shutdown(context.Background())
	request := served()
	b.ReportAllocs()
	for b.Loop() {
		t.Access(context.Background(), request)
	}
}

func BenchmarkStartCall_with_a_client_trace(b *testing.B) {
	t, err := Start(b.Context(), Options{Getenv: empty, LogOutput: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	defer t.Shutdown(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		t.StartCall(context.Background(), "gpt-4o", Origin{Traceparent: clientTrace})
	}
}
