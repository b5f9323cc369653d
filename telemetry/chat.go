package telemetry

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxErrorTypes bounds the labels of error.type.
const maxErrorTypes = 30

// MemoryUse is what memory did for one call. The zero value: it was not asked.
type MemoryUse struct {
	Status  string // ok, off or bypassed
	Turns   int    // stored groups that were sent
	Tokens  int    // tokens that memory added
	Saved   int    // tokens that the whole history would have added beyond these
	Dropped int    // stored groups that were left out
	Summary string // none, used or pending; "" is none
}

// ChatCall is what is known of one chat completion call at its end.
type ChatCall struct {
	Summary   bool   // it wrote a session's summary; no client waited for it
	RequestID string // spans only
	Session   string // spans only; "" if there is none
	Tenant    string // whose call it is; "" if there are none

	RequestModel  string // as the client named it
	Stream        bool
	ResponseModel string
	ResponseID    string
	FinishReason  string   // of choice 0
	FinishReasons []string // of every choice; nil if FinishReason is all
	ServiceTier   string   // as the answer names it
	Fingerprint   string   // the answer's system_fingerprint

	Upstream      string // as configured; "" if none was reached
	KeyLabel      string // never the key
	Attempts      int
	Tries         []Attempt // in the order of their starts, the one that answered among them; not changed
	Status        int       // what the client got; 499 if it left
	ErrorType     string    // one of a fixed set of words; "" for an answered call
	ServerAddress string    // of the upstream; "" means that of the attempt that answered
	ServerPort    int
	Cached        bool // answered from the cache
	Degraded      bool // sent elsewhere than asked, because of a queue or a budget

	Usage      Usage // of the answer
	Cost       int64 // of the answer, in nano-dollars, where Priced
	Priced     bool
	CostSource CostSource

	Start      time.Time
	FirstChunk time.Time // of the stream; zero if there was none
	End        time.Time
	Chunks     int

	Parse, Load, Compose, Commit Phase
	UpstreamWait                 time.Duration // for heads and bodies of answers, pauses between attempts included
	Memory                       MemoryUse

	// Body is the request as it went up, JSON. Only if the call is sampled its
	// parameters are read from it, and its messages if content is captured.
	Body string
	// Output is the message of each choice, JSON; needed only if content is captured.
	Output []string
}

// StartCall starts the span of a chat call, with a client's trace as its parent if that
// is valid. While tracing is off it costs nothing but reading the header, whose ids the
// log still carries.
func (t *Telemetry) StartCall(ctx context.Context, model string, from Origin) (context.Context, trace.Span) {
	if ctx = from.extract(ctx); t.tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	model = clip(model)
	return t.startSpan(ctx, operationChat+" "+model, operationChat, model, trace.WithTimestamp(from.begin()))
}

// StartSummary starts the span of a call that writes a session's summary. It has no
// client and so begins a trace of its own, with links to the calls that asked for it.
// EndChat ends it.
func (t *Telemetry) StartSummary(ctx context.Context, model string, asked ...trace.SpanContext) (context.Context, trace.Span) {
	if t.tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	links := make([]trace.Link, len(asked))
	for i := range asked {
		links[i].SpanContext = asked[i]
	}
	model = clip(model)
	name, operation := operationSummary+" "+model, operationSummary
	if t.semconv.latest() {
		operation = operationUpsert
	}
	if t.semconv == SemconvLatest {
		name = operationUpsert
	}
	return t.startSpan(ctx, name, operation, model, trace.WithNewRoot(), trace.WithLinks(links...))
}

// EndChat records the call and ends its span. It must be called once per span that
// StartCall or StartSummary returned, when nobody waits: if the call is sampled, the spans of its
// parts are made now.
func (t *Telemetry) EndChat(span trace.Span, c *ChatCall) {
	ctx := context.Background()
	failure := c.failure()
	if span.IsRecording() {
		ctx = trace.ContextWithSpan(ctx, span) // exemplars lead from metrics to the trace
		t.describe(span, c, failure)
		t.traceParts(ctx, c)
		defer span.End(trace.WithTimestamp(c.End))
	}
	key := t.chatKey(c, failure)
	row := t.chats.row(key)
	t.duration.Record(ctx, c.End.Sub(c.Start).Seconds(), row.whole.record...)
	if !c.FirstChunk.IsZero() {
		t.firstChunk.Record(ctx, c.FirstChunk.Sub(c.Start).Seconds(), row.call.record...)
		if c.Chunks > 1 {
			gap := c.End.Sub(c.FirstChunk) / time.Duration(c.Chunks-1)
			t.perChunk.Record(ctx, gap.Seconds(), row.call.record...)
		}
	}
	t.recordUsage(ctx, row, key.modelKey, &c.Usage)
	for i := range c.Tries {
		if a := &c.Tries[i]; a.Billed {
			part := key
			part.upstream, part.errorType = a.Upstream, ""
			t.recordUsage(ctx, t.chats.row(part), part.modelKey, &a.Usage)
		}
	}
	t.countCost(key.modelKey, c)
	if !c.Summary {
		t.countAttempts(c.Tries)
		t.recordOverhead(ctx, c)
	}
	if m := &c.Memory; m.Status != "" {
		t.memoryCalls.add(m.Status, 1)
		t.memoryTurns.add(int64(m.Turns))
		t.memoryTokens.add(int64(m.Tokens))
		t.memorySaved.add(int64(m.Saved))
		t.memoryDropped.add(int64(m.Dropped))
	}
}

// Private

func (t *Telemetry) startSpan(ctx context.Context, name, operation, model string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, append(options, asClient, trace.WithAttributes(
		operationName.String(operation),
		providerName.String(providerOpenAI),
		requestModel.String(model)))...)
}

// failure is the call's error.type, or "" if it was answered.
func (c *ChatCall) failure() string {
	if c.ErrorType == "" && c.Status >= 400 {
		return strconv.Itoa(c.Status)
	}
	return c.ErrorType
}

// describe fills the span of a call.
func (t *Telemetry) describe(span trace.Span, c *ChatCall, failure string) {
	span.SetAttributes(c.attributes(failure, t.semconv)...)
	if c.Summary && t.semconv.latest() {
		span.SetAttributes(memoryRecords.Int(1))
	}
	if t.content.on {
		span.SetAttributes(t.content.capture(c)...)
	}
	if !c.FirstChunk.IsZero() {
		span.AddEvent(eventFirstToken, trace.WithTimestamp(c.FirstChunk))
	}
	if failure != "" {
		span.SetStatus(codes.Error, failure)
	}
}

func (t *Telemetry) recordUsage(ctx context.Context, row *chatSeries, key modelKey, u *Usage) {
	kinds := &row.measured
	switch u.Source {
	case Measured:
	case Estimated:
		kinds = &row.estimated
	default:
		return
	}
	t.countUsage(key, u)
	if t.tokens != nil {
		t.tokens.Record(ctx, int64(u.Input), kinds.input.record...)
		t.tokens.Record(ctx, int64(u.Output), kinds.output.record...)
	}
}

type chatKey struct {
	modelKey
	errorType string
}

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
	key := chatKey{modelKey: modelKey{operation: operationChat, upstream: c.Upstream}}
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
	attrs := k.labels()
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
