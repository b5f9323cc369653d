package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Values of Options.LogFormat.
const (
	LogText = "text" // the default
	LogJSON = "json"
)

// ErrLogFormat is returned for an unknown Options.LogFormat.
var ErrLogFormat = errors.New("unknown log format")

// A tracedHandler adds the ids of the context's span to each record.
type tracedHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h tracedHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(
			slog.String("trace_id", span.TraceID().String()),
			slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h tracedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracedHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h tracedHandler) WithGroup(name string) slog.Handler {
	return tracedHandler{h.Handler.WithGroup(name)}
}

// Private

func newHandler(out io.Writer, format string, level slog.Level) (slog.Handler, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "", LogText:
		return tracedHandler{slog.NewTextHandler(out, options)}, nil
	case LogJSON:
		return tracedHandler{slog.NewJSONHandler(out, options)}, nil
	}
	return nil, fmt.Errorf("%w %q: want %s or %s", ErrLogFormat, format, LogText, LogJSON)
}
