package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxAttempts bounds the spans of one call's attempts.
const maxAttempts = 32

// An Attempt is one try to get an answer for a call.
type Attempt struct {
	Upstream, Key, Model string // as configured; Key is a label, Model the name that went up
	Outcome              string // one of a fixed set of words
	Status               int    // 0 if there was no answer
	Breaker              string // its state when it let the attempt pass
	ServerAddress        string
	ServerPort           int
	Start                time.Time
	Duration             time.Duration // to the answer's head, or to the failure
	Hedge                bool          // started beside another
	Resume               bool          // goes on where the stream of another broke

	// Billed says that it may be charged for although its answer is not the call's.
	// Usage and Cost (in nano-dollars, where Priced) are what it took then; of the one
	// that answered, ChatCall has them.
	Billed     bool
	Usage      Usage
	Cost       int64
	Priced     bool
	CostSource CostSource
}

// Attempt counts one attempt to get an answer: the upstream as configured, the
// outcome as one of a fixed set of words, and the HTTP status, 0 if there was no
// answer.
func (t *Telemetry) Attempt(_ context.Context, upstream, outcome string, _ int) {
	t.tried.add(attemptKey{upstream, outcome}, 1)
}

// Private

// Kinds of attempts.
const (
	kindFirst    = "first"
	kindRetry    = "retry"    // where the attempt before it failed
	kindFallback = "fallback" // elsewhere
	kindHedge    = "hedge"
	kindRescue   = "rescue"
)

// blameless are the outcomes that are nobody's error.
var blameless = map[string]bool{"ok": true, "outrun": true, "client_gone": true}

type attemptKey struct{ upstream, outcome string }

func (k attemptKey) labels() []attribute.KeyValue {
	return []attribute.KeyValue{upstreamName.String(k.upstream), attemptOutcome.String(k.outcome)}
}

func (t *Telemetry) instrumentAttempts(m *maker) {
	count := func(name, description string) *counter[string] {
		return newCounter(m, name, "{attempt}", description, other, by(upstreamName))
	}
	t.retries = count(metricRetries, "Attempts of chat calls after a failure at the same upstream and model.")
	t.fallbacks = count(metricFallbacks, "Attempts of chat calls after a failure elsewhere.")
	t.hedges = count(metricHedges, "Attempts of chat calls beside one that did not begin to answer.")
	t.rescues = count(metricRescues, "Attempts of chat calls to go on with a stream that broke.")
}

// kind says why the i-th of the attempts was made.
func kind(all []Attempt, i int) string {
	switch a := &all[i]; {
	case a.Hedge:
		return kindHedge
	case a.Resume:
		return kindRescue
	case i == 0:
		return kindFirst
	case a.Upstream == all[i-1].Upstream && a.Model == all[i-1].Model:
		return kindRetry
	}
	return kindFallback
}

func (t *Telemetry) countAttempts(all []Attempt) {
	for i := range all {
		switch kind(all, i) {
		case kindRetry:
			t.retries.add(all[i].Upstream, 1)
		case kindFallback:
			t.fallbacks.add(all[i].Upstream, 1)
		case kindHedge:
			t.hedges.add(all[i].Upstream, 1)
		case kindRescue:
			t.rescues.add(all[i].Upstream, 1)
		}
	}
}

// traceAttempts makes the spans of the attempts.
func (t *Telemetry) traceAttempts(ctx context.Context, all []Attempt) {
	for i := range all[:min(len(all), maxAttempts)] {
		a := &all[i]
		_, span := t.tracer.Start(ctx, spanAttempt+" "+a.Upstream, trace.WithTimestamp(a.Start), asClient)
		span.SetAttributes(a.attributes(kind(all, i), t.semconv)...)
		if a.failed() {
			span.SetStatus(codes.Error, a.Outcome)
		}
		span.End(trace.WithTimestamp(a.Start.Add(a.Duration)))
	}
}

func (a *Attempt) failed() bool { return a.Outcome != "" && !blameless[a.Outcome] }

func (a *Attempt) attributes(kind string, s Semconv) []attribute.KeyValue {
	attrs := make(texts, 0, 16)
	attrs.add(upstreamName, a.Upstream)
	attrs.add(attemptKind, kind)
	attrs.add(upstreamKey, a.Key)
	attrs.add(requestModel, clip(a.Model))
	attrs.add(attemptOutcome, a.Outcome)
	attrs.add(attemptBreaker, a.Breaker)
	attrs.server(a.ServerAddress, a.ServerPort)
	if a.failed() {
		attrs.add(errorType, a.Outcome)
	}
	if a.Status != 0 {
		attrs = append(attrs, httpResponseStatus.Int(a.Status))
	}
	if a.Billed {
		attrs = append(attrs, attemptBilled.Bool(true))
		attrs.usage(&a.Usage, s)
		if a.Priced {
			attrs.cost(a.Cost)
		}
	}
	return attrs
}
