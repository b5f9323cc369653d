package telemetry

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// maxErrorTypes bounds the labels of error.type.
const maxErrorTypes = 30

// MemoryUse is what memory did for one call. The zero value: it was not asked.
type MemoryUse struct {
	Status  string // ok, off or bypassed
	Turns   int    // stored groups that were sent
	Tokens  int    // tokens that memory added
	Dropped int    // stored groups that were left out
	Summary string // none, used or pending; "" is none
}

// ChatCall is what is known of one chat completion call at its end.
type ChatCall struct {
	Summary       bool   // it wrote a session's summary; no client waited for it
	RequestModel  string // as the client named it
	ResponseModel string
	ResponseID    string
	FinishReason  string // of choice 0
	Stream        bool
	Session       string // spans only; "" if there is none
	Upstream      string // as configured; "" if none was reached
	KeyLabel      string // never the key
	Attempts      int
	Status        int    // what the client got; 499 if it left
	ErrorType     string // one of a fixed set of words; "" for an answered call
	ServerAddress string // of the upstream
	ServerPort    int
	Usage         Usage
	Start         time.Time
	FirstChunk    time.Time // of the stream; zero if there was none
	End           time.Time
	Chunks        int
	Memory        MemoryUse
}

// StartSummary starts the span of a call that writes a session's summary. It has no
// client and so begins a trace of its own. EndChat ends it.
func (t *Telemetry) StartSummary(ctx context.Context, model string) (context.Context, trace.Span) {
	return t.startSpan(ctx, operationSummary, model)
}

// StartChat starts the span of a chat call. It continues the trace of traceparent,
// the client's W3C header, if that is valid. While tracing is off it costs nothing
// but reading the header, whose ids the log still carries.
func (t *Telemetry) StartChat(ctx context.Context, model, traceparent string) (context.Context, trace.Span) {
	if traceparent != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, carrier(traceparent))
	}
	return t.startSpan(ctx, operationChat, model)
}

// EndChat records the call and ends its span. It must be called once per span that
// StartChat returned.
func (t *Telemetry) EndChat(span trace.Span, c *ChatCall) {
	ctx := context.Background()
	failure := c.failure()
	if span.IsRecording() {
		ctx = trace.ContextWithSpan(ctx, span) // exemplars lead from metrics to the trace
		span.SetAttributes(c.attributes(failure)...)
		if failure != "" {
			span.SetStatus(codes.Error, failure)
		}
		defer span.End(trace.WithTimestamp(c.End))
	}
	row := t.chats.row(t.chatKey(c, failure))
	t.duration.Record(ctx, c.End.Sub(c.Start).Seconds(), row.whole.record...)
	if !c.FirstChunk.IsZero() {
		t.firstChunk.Record(ctx, c.FirstChunk.Sub(c.Start).Seconds(), row.call.record...)
		if c.Chunks > 1 {
			gap := c.End.Sub(c.FirstChunk) / time.Duration(c.Chunks-1)
			t.perChunk.Record(ctx, gap.Seconds(), row.call.record...)
		}
	}
	switch c.Usage.Source {
	case Measured:
		t.tokens.Record(ctx, int64(c.Usage.Input), row.measured.input.record...)
		t.tokens.Record(ctx, int64(c.Usage.Output), row.measured.output.record...)
	case Estimated:
		t.tokens.Record(ctx, int64(c.Usage.Input), row.estimated.input.record...)
		t.tokens.Record(ctx, int64(c.Usage.Output), row.estimated.output.record...)
	}
	if c.Memory.Status != "" {
		t.memoryCalls.Add(ctx, 1, t.memories.row(c.Memory.Status).add...)
		t.memoryTurns.Add(ctx, int64(c.Memory.Turns))
		t.memoryTokens.Add(ctx, int64(c.Memory.Tokens))
		t.memoryDropped.Add(ctx, int64(c.Memory.Dropped))
	}
}

// Private

func (t *Telemetry) startSpan(ctx context.Context, operation, model string) (context.Context, trace.Span) {
	if t.tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	model = clip(model)
	return t.tracer.Start(ctx, operation+" "+model,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			operationName.String(operation),
			providerName.String(providerOpenAI),
			requestModel.String(model)))
}

// A carrier is the one header that tells of the client's trace.
type carrier string

func (c carrier) Get(key string) string {
	if key == "traceparent" {
		return string(c)
	}
	return ""
}

func (c carrier) Set(string, string) {}
func (c carrier) Keys() []string     { return []string{"traceparent"} }

// failure is the call's error.type, or "" if it was answered.
func (c *ChatCall) failure() string {
	if c.ErrorType == "" && c.Status >= 400 {
		return strconv.Itoa(c.Status)
	}
	return c.ErrorType
}

func (c *ChatCall) attributes(failure string) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 24)
	add := func(key attribute.Key, value string) {
		if value != "" {
			attrs = append(attrs, key.String(value))
		}
	}
	add(conversationID, c.Session)
	add(responseID, clip(c.ResponseID))
	add(responseModel, clip(c.ResponseModel))
	add(serverAddress, c.ServerAddress)
	add(upstreamName, c.Upstream)
	add(upstreamKey, c.KeyLabel)
	add(errorType, failure)
	add(usageSource, string(c.Usage.Source))
	add(memoryStatus, c.Memory.Status)
	if c.FinishReason != "" {
		attrs = append(attrs, responseFinish.StringSlice([]string{clip(c.FinishReason)}))
	}
	if c.ServerPort != 0 {
		attrs = append(attrs, serverPort.Int(c.ServerPort))
	}
	if !c.FirstChunk.IsZero() {
		attrs = append(attrs, responseFirstChunk.Float64(c.FirstChunk.Sub(c.Start).Seconds()))
	}
	if c.Usage.Source != "" {
		attrs = append(attrs,
			usageInput.Int(c.Usage.Input),
			usageOutput.Int(c.Usage.Output),
			usageCacheRead.Int(c.Usage.CachedInput),
			usageReasoning.Int(c.Usage.Reasoning))
	}
	if c.Memory.Status != "" {
		attrs = append(attrs,
			memoryTurns.Int(c.Memory.Turns),
			memoryTokens.Int(c.Memory.Tokens),
			memoryDropped.Int(c.Memory.Dropped),
			memorySummary.String(cmp.Or(c.Memory.Summary, "none")))
	}
	return append(attrs,
		requestStream.Bool(c.Stream),
		upstreamTries.Int(c.Attempts),
		httpResponseStatus.Int(c.Status))
}

type chatKey struct{ operation, model, upstream, errorType string }

// chatSeries are the attribute sets that calls of one key are recorded with. The
// response's model is left to spans: it would square the number of series. So are
// server.address and server.port: they follow from the upstream, and the SDK goes
// through all attributes at every recording.
type chatSeries struct {
	call, whole         series // without and with error.type
	measured, estimated struct{ input, output series }
}

// chatKey bounds what the client chose. A model gets a label by an answered call,
// so that nobody uses the labels up by asking for models that do not exist.
func (t *Telemetry) chatKey(c *ChatCall, failure string) chatKey {
	key := chatKey{operation: operationChat, upstream: c.Upstream}
	if c.Summary {
		key.operation = operationSummary
	}
	if failure == "" {
		key.model = t.models.admit(c.RequestModel)
	} else {
		key.model, key.errorType = t.models.known(c.RequestModel), t.errors.admit(failure)
	}
	return key
}

func newChatSeries(k chatKey) *chatSeries {
	attrs := []attribute.KeyValue{
		operationName.String(k.operation),
		providerName.String(providerOpenAI),
		requestModel.String(k.model),
	}
	if k.upstream != "" {
		attrs = append(attrs, upstreamName.String(k.upstream))
	}
	attrs = attrs[:len(attrs):len(attrs)] // appending copies
	row := &chatSeries{call: newSeries(attrs...)}
	row.whole = row.call
	if k.errorType != "" {
		row.whole = newSeries(append(attrs, errorType.String(k.errorType))...)
	}
	tokens := func(kind string, source UsageSource) series {
		return newSeries(append(attrs, tokenType.String(kind), usageSource.String(string(source)))...)
	}
	row.measured.input, row.measured.output = tokens(tokenInput, Measured), tokens(tokenOutput, Measured)
	row.estimated.input, row.estimated.output = tokens(tokenInput, Estimated), tokens(tokenOutput, Estimated)
	return row
}

func newMemorySeries(status string) series { return newSeries(memoryStatus.String(status)) }
