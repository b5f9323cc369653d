package telemetry

import (
	"context"
	"encoding/hex"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header fields of W3C Trace Context.
const (
	headerParent = "traceparent"
	headerState  = "tracestate"
)

// An Origin is where and when a call began.
type Origin struct {
	Start       time.Time // when its request came; zero: now
	Traceparent string    // the client's W3C header fields; "" where there is none
	Tracestate  string
}

// TraceHeader returns the W3C header fields that go up with a call, so that its
// upstream's trace continues the call's own. While tracing is off they are "": the
// client's own, if there are any, go up unchanged.
func (t *Telemetry) TraceHeader(span trace.Span) (traceparent, tracestate string) {
	if t.tracer == nil || span == nil {
		return "", ""
	}
	sc := span.SpanContext()
	if !sc.IsValid() {
		return "", ""
	}
	traceID, spanID := sc.TraceID(), sc.SpanID()
	flags := [1]byte{byte(sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom))}
	var space [55]byte
	b := append(space[:0], "00-"...)
	b = append(hex.AppendEncode(b, traceID[:]), '-')
	b = append(hex.AppendEncode(b, spanID[:]), '-')
	return string(hex.AppendEncode(b, flags[:])), sc.TraceState().String()
}

// Captures reports whether EndChat will look at ChatCall.Output for the span. It
// reads ChatCall.Body if the span is recording.
func (t *Telemetry) Captures(span trace.Span) bool {
	return t.content.on && span != nil && span.IsRecording()
}

// Private

func (o *Origin) begin() time.Time {
	if o.Start.IsZero() {
		return time.Now()
	}
	return o.Start
}

// extract puts the client's span into ctx, if it has one.
func (o *Origin) extract(ctx context.Context) context.Context {
	if o.Traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, carrier{o.Traceparent, o.Tracestate})
}

// A carrier is the two header fields that tell of the client's trace.
type carrier struct{ parent, state string }

func (c carrier) Get(key string) string {
	switch key {
	case headerParent:
		return c.parent
	case headerState:
		return c.state
	}
	return ""
}

func (c carrier) Set(string, string) {}
func (c carrier) Keys() []string     { return []string{headerParent, headerState} }
