package telemetry

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
)

const (
	backlogBytes = 32 << 20 // of content that waits at most
	batchBytes   = 2 << 20  // of content in one export; collectors take 4 MiB by default
)

// A backlog holds the spans that wait for an exporter. The SDK batches them; the
// backlog bounds them, in number and size, and counts what is lost because it is full
// or because nobody took it: the SDK drops in silence.
type backlog struct {
	trace.SpanProcessor
	limit  int64           // spans
	over   context.Context // ends when nobody waits for exports any more
	giveUp context.CancelFunc

	waiting atomic.Int64 // spans, those that are being exported included
	bytes   atomic.Int64 // of their content
	dropped atomic.Int64 // spans
}

// OnEnd implements trace.SpanProcessor.
func (b *backlog) OnEnd(s trace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	size := weight(s)
	if b.waiting.Add(1) > b.limit || b.bytes.Add(size) > backlogBytes {
		b.leave(1, size)
		b.dropped.Add(1)
		return
	}
	b.SpanProcessor.OnEnd(s)
}

// Shutdown implements trace.SpanProcessor. What is being exported when ctx ends is
// given up.
func (b *backlog) Shutdown(ctx context.Context) error {
	defer b.giveUp()
	return b.SpanProcessor.Shutdown(ctx)
}

// A delivery is the exporter at the end of a backlog.
type delivery struct {
	trace.SpanExporter
	backlog *backlog
}

// ExportSpans implements trace.SpanExporter. Spans with much content are exported a
// few at a time.
func (d delivery) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(d.backlog.over, stop)()
	var errs []error
	for len(spans) > 0 {
		n, size := 0, int64(0)
		for n < len(spans) && (n == 0 || size+weight(spans[n]) <= batchBytes) {
			size += weight(spans[n])
			n++
		}
		if err := d.SpanExporter.ExportSpans(ctx, spans[:n]); err != nil {
			d.backlog.dropped.Add(int64(n))
			errs = append(errs, err)
		}
		d.backlog.leave(n, size)
		spans = spans[n:]
	}
	return errors.Join(errs...)
}

// Private

// newBacklog puts a backlog before an exporter. The size is the SDK's own setting.
func newBacklog(exporter trace.SpanExporter, getenv func(string) string) *backlog {
	b := &backlog{limit: trace.DefaultMaxQueueSize}
	b.over, b.giveUp = context.WithCancel(context.Background())
	if n, err := strconv.Atoi(getenv("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && n > 0 {
		b.limit = int64(n)
	}
	b.SpanProcessor = trace.NewBatchSpanProcessor(delivery{exporter, b}, trace.WithMaxQueueSize(int(b.limit)))
	return b
}

func (b *backlog) leave(spans int, size int64) {
	b.waiting.Add(int64(-spans))
	b.bytes.Add(-size)
}

// weight is the bytes of a span's content. All else that it holds is small.
func weight(s trace.ReadOnlySpan) (bytes int64) {
	for _, a := range s.Attributes() {
		if a.Value.Type() == attribute.STRING {
			bytes += int64(len(a.Value.AsString()))
		}
	}
	return bytes
}
