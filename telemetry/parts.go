package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Deleted records that a session was deleted, or that it could not be: then failure
// is one of a fixed set of words. ctx may carry the span of who asked.
func (t *Telemetry) Deleted(ctx context.Context, session string, begin time.Time, failure string) {
	if t.tracer == nil {
		return
	}
	phase := Phase{Start: begin, Duration: time.Since(begin), Error: failure}
	name := t.memoryName(spanDelete, operationDelete)
	t.part(ctx, name, asClient, &phase, append(t.memoryOperation(operationDelete), conversationID.String(session)))
}

// Private

// Kinds of spans, made once.
var (
	asClient   = trace.WithSpanKind(trace.SpanKindClient)
	asInternal = trace.WithSpanKind(trace.SpanKindInternal)
)

// traceParts makes the spans of a call's parts.
func (t *Telemetry) traceParts(ctx context.Context, c *ChatCall) {
	if c.Load.took() {
		attrs := t.memoryOperation(operationSearch)
		if c.Load.Error == "" && attrs != nil {
			attrs = append(attrs, memoryRecords.Int(c.Memory.Turns))
		}
		t.part(ctx, t.memoryName(spanLoad, operationSearch), asClient, &c.Load, attrs)
	}
	if c.Compose.took() {
		t.part(ctx, spanCompose, asInternal, &c.Compose, []attribute.KeyValue{
			memoryTurns.Int(c.Memory.Turns), memoryTokens.Int(c.Memory.Tokens), memoryDropped.Int(c.Memory.Dropped)})
	}
	t.traceAttempts(ctx, c.Tries)
	if c.Commit.took() {
		attrs := t.memoryOperation(operationCreate)
		if attrs != nil {
			attrs = append(attrs, memoryRecords.Int(1))
		}
		t.part(ctx, t.memoryName(spanCommit, operationCreate), asClient, &c.Commit, attrs)
	}
}

func (t *Telemetry) part(ctx context.Context, name string, kind trace.SpanStartOption, p *Phase, attrs []attribute.KeyValue) {
	if p.Error != "" {
		attrs = append(attrs, errorType.String(p.Error))
	}
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(p.Start), kind)
	span.SetAttributes(attrs...)
	if p.Error != "" {
		span.SetStatus(codes.Error, p.Error)
	}
	span.End(trace.WithTimestamp(p.Start.Add(p.Duration)))
}

// memoryName is what the span of a memory operation is called. With both conventions
// it keeps the name that it has without the later one.
func (t *Telemetry) memoryName(own, latest string) string {
	if t.semconv == SemconvLatest {
		return latest
	}
	return own
}

// memoryOperation is how the latest conventions mark such a span.
func (t *Telemetry) memoryOperation(operation string) []attribute.KeyValue {
	if !t.semconv.latest() {
		return nil
	}
	return []attribute.KeyValue{operationName.String(operation)}
}
