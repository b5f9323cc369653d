package telemetry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A stuckExporter takes nothing before it is released.
type stuckExporter struct {
	tracetest.NoopExporter
	entered, release chan struct{}
	err              error

	mu      sync.Mutex
	batches []int
}

func newStuckExporter() *stuckExporter {
	return &stuckExporter{entered: make(chan struct{}, 1000), release: make(chan struct{})}
}

func (e *stuckExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.entered <- struct{}{}
	<-e.release
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batches = append(e.batches, len(spans))
	return e.err
}

// startBacklog makes spans of tel wait for e.
func startBacklog(t *testing.T, tel *Telemetry, e sdktrace.SpanExporter, size string) {
	t.Helper()
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
	tel.backlog = newBacklog(e, func(string) string { return size })
	tel.tracing = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tel.backlog))
	tel.tracer = tel.tracing.Tracer(instrumentationName)
}

func endSpans(tel *Telemetry, n int, attrs ...attribute.KeyValue) {
	for range n {
		_, span := tel.tracer.Start(context.Background(), "x")
		span.SetAttributes(attrs...)
		span.End()
	}
}

func TestBacklog_counts_exactly_what_it_drops(t *testing.T) {
	tel, _ := start(t, Options{})
	stuck := newStuckExporter()
	startBacklog(t, tel, stuck, "16")
	endSpans(tel, 4)
	<-stuck.entered // four are being exported
	endSpans(tel, 100)
	dropped := one(t, scrape(t, tel), "mnemo_telemetry_dropped_total", "mnemo_telemetry_signal", "spans").GetCounter().GetValue()
	if dropped != 104-16 {
		t.Errorf("%v dropped", dropped)
	}
	close(stuck.release)
	if err := tel.tracing.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	exported := 0
	for _, n := range stuck.batches {
		exported += n
	}
	if exported != 16 || tel.backlog.waiting.Load() != 0 || tel.backlog.bytes.Load() != 0 {
		t.Errorf("%d exported, %d of %d bytes wait", exported, tel.backlog.waiting.Load(), tel.backlog.bytes.Load())
	}
	endSpans(tel, 3) // there is room again
	if got := tel.backlog.dropped.Load(); got != int64(dropped) {
		t.Errorf("%d dropped", got)
	}
}

func TestBacklog_counts_what_nobody_takes(t *testing.T) {
	tel, _ := start(t, Options{})
	refusing := newStuckExporter()
	refusing.err = errors.New("connection refused")
	close(refusing.release)
	startBacklog(t, tel, refusing, "")
	endSpans(tel, 10)
	_ = tel.tracing.ForceFlush(t.Context())
	if got := tel.backlog.dropped.Load(); got != 10 {
		t.Errorf("%d dropped", got)
	}
}

func TestBacklog_is_bounded_in_bytes_too(t *testing.T) {
	tel, _ := start(t, Options{})
	stuck := newStuckExporter()
	startBacklog(t, tel, stuck, "100000")
	heavy := inputMessages.String(strings.Repeat("x", MaxContentLimit))
	endSpans(tel, 2*backlogBytes/MaxContentLimit, heavy)
	if got := tel.backlog.dropped.Load(); got != backlogBytes/MaxContentLimit {
		t.Errorf("%d dropped", got)
	}
	close(stuck.release)
	_ = tel.tracing.ForceFlush(t.Context())
	if got := tel.backlog.bytes.Load(); got != 0 {
		t.Errorf("%d bytes wait", got)
	}
}

func TestDelivery_exports_a_few_heavy_spans_at_a_time(t *testing.T) {
	tel, _ := start(t, Options{})
	open := newStuckExporter()
	close(open.release)
	startBacklog(t, tel, open, "")
	endSpans(tel, 4, inputMessages.String(strings.Repeat("x", batchBytes*2/3)))
	_ = tel.tracing.ForceFlush(t.Context())
	for _, n := range open.batches {
		if n != 1 {
			t.Errorf("%d heavy spans at once", n)
		}
	}
	if len(open.batches) != 4 {
		t.Errorf("%d exports", len(open.batches))
	}
}

func TestBacklog_passes_over_what_is_not_sampled(t *testing.T) {
	tel, _ := start(t, Options{})
	open := newStuckExporter()
	close(open.release)
	startBacklog(t, tel, open, "1")
	recordOnly := sdktrace.NewTracerProvider(sdktrace.WithSampler(recording{}), sdktrace.WithSpanProcessor(tel.backlog))
	for range 5 {
		_, span := recordOnly.Tracer("x").Start(t.Context(), "x")
		span.End()
	}
	if tel.backlog.waiting.Load() != 0 || tel.backlog.dropped.Load() != 0 {
		t.Errorf("%d wait, %d dropped", tel.backlog.waiting.Load(), tel.backlog.dropped.Load())
	}
}

// A recording sampler has spans recorded that nobody will see.
type recording struct{}

func (recording) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordOnly}
}
func (recording) Description() string { return "recording" }
