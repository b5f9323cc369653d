package telemetry

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

const clientSpanID = "b7ad6b7169203331"

// traceCases are calls as the proxy tells of them at their end, and the trees of spans
// that they must become: names with what is special of each, children below.
var traceCases = map[string]struct {
	call func() *ChatCall
	want string
}{
	"plain": {plainCall, `
chat gpt-4o client 200 openai/a cost=0.003
	attempt openai client first ok 200 closed openai/a gpt-4o api.openai.com:443
`},
	"with memory": {memoryCall, `
chat gpt-4o client 200 openai/a cost=0.003 memory=ok/7/900/3/used
	load client
	compose
	attempt openai client first ok 200 closed openai/a gpt-4o api.openai.com:443
	commit client
`},
	"stream": {func() *ChatCall {
		c := memoryCall()
		c.Stream, c.FirstChunk, c.Chunks = true, at(500), 101
		return c
	}, `
chat gpt-4o client 200 openai/a cost=0.003 memory=ok/7/900/3/used event:mnemo.first_token@500ms
	load client
	compose
	attempt openai client first ok 200 closed openai/a gpt-4o api.openai.com:443
	commit client
`},
	"client gone": {func() *ChatCall {
		c := memoryCall()
		c.Stream, c.FirstChunk, c.Chunks = true, at(500), 3
		c.Status, c.ErrorType, c.Usage.Source = 499, "client_gone", Estimated
		return c
	}, `
chat gpt-4o client 499 openai/a cost=0.003 memory=ok/7/900/3/used event:mnemo.first_token@500ms error:client_gone
	load client
	compose
	attempt openai client first ok 200 closed openai/a gpt-4o api.openai.com:443
	commit client
`},
	"retried": {func() *ChatCall {
		c := plainCall()
		c.Attempts = 2
		c.Tries = []Attempt{attempted(10, 90, "server_error", 503), attempted(300, 1500, "ok", 200)}
		return c
	}, `
chat gpt-4o client 200 openai/a cost=0.003
	attempt openai client first server_error 503 closed openai/a gpt-4o api.openai.com:443 error:server_error
	attempt openai client retry ok 200 closed openai/a gpt-4o api.openai.com:443
`},
	"hedged": {func() *ChatCall {
		c := plainCall()
		c.Attempts, c.Upstream, c.KeyLabel = 2, "azure", "k"
		slow, fast := attempted(10, 1800, "outrun", 0), elsewhere(attempted(1000, 600, "ok", 200))
		slow.Billed, slow.Usage, slow.Cost, slow.Priced = true, Usage{Input: 1000, Output: 3, Source: Estimated}, 500_000, true
		fast.Hedge = true
		c.Tries = []Attempt{slow, fast}
		return c
	}, `
chat gpt-4o client 200 azure/k cost=0.0035
	attempt openai client first outrun closed openai/a gpt-4o api.openai.com:443 billed cost=0.0005
	attempt azure client hedge ok 200 half-open azure/k gpt-4o-prod azure.example:8443
`},
	"fallback": {func() *ChatCall {
		c := plainCall()
		c.Attempts, c.Upstream, c.KeyLabel, c.Degraded = 2, "azure", "k", true
		c.Tries = []Attempt{attempted(10, 500, "timeout", 0), elsewhere(attempted(600, 900, "ok", 200))}
		return c
	}, `
chat gpt-4o client 200 azure/k cost=0.003 degraded
	attempt openai client first timeout closed openai/a gpt-4o api.openai.com:443 error:timeout
	attempt azure client fallback ok 200 half-open azure/k gpt-4o-prod azure.example:8443
`},
	"summary linked": {func() *ChatCall {
		c := plainCall()
		c.Summary = true
		return c
	}, `
summarize gpt-4o client 200 openai/a cost=0.003 link
	attempt openai client first ok 200 closed openai/a gpt-4o api.openai.com:443
`},
}

func TestTrace_of_every_kind_of_call_reaches_a_collector(t *testing.T) {
	for protocol, receive := range receivers {
		for name, test := range traceCases {
			t.Run(protocol+", "+name, func(t *testing.T) {
				collected := receive(t)
				tel, written := start(t, Options{Getenv: os.Getenv})
				call := test.call()
				_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{Start: call.Start, Traceparent: clientTrace, Tracestate: "v=1"})
				asked := span.SpanContext()
				if call.Summary {
					tel.EndChat(span, plainCall())
					_, span = tel.StartSummary(t.Context(), call.RequestModel, asked)
				}
				tel.EndChat(span, call)
				written() // shuts down, and so exports

				root := span.SpanContext()
				if got := "\n" + tree(collected.all(), root, asked, 0); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
				for _, s := range collected.all() {
					inClients := fmt.Sprintf("%x", s.GetTraceId()) == clientTraceID
					if id := fmt.Sprintf("%x", s.GetSpanId()); id == root.SpanID().String() {
						parent := fmt.Sprintf("%x", s.GetParentSpanId())
						if inClients == call.Summary || (parent == clientSpanID) == call.Summary || call.Summary != (s.GetTraceState() == "") {
							t.Errorf("parent %q, trace %x, state %q", parent, s.GetTraceId(), s.GetTraceState())
						}
					}
				}
			})
		}
	}
}

func TestTrace_names_memory_as_the_latest_conventions_do(t *testing.T) {
	for semconv, want := range map[Semconv]string{
		SemconvV141: "load - 0, compose - 0, commit - 0", SemconvBoth: "load search_memory 7, compose - 0, commit create_memory 1",
		SemconvLatest: "search_memory search_memory 7, compose - 0, create_memory create_memory 1",
	} {
		tel, _ := start(t, Options{Semconv: semconv})
		recorder := recordSpans(t, tel)
		call := memoryCall()
		call.Tries = nil
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		tel.EndChat(span, call)
		_, span = tel.StartSummary(t.Context(), call.RequestModel)
		tel.EndChat(span, &ChatCall{Summary: true, RequestModel: call.RequestModel, Status: 200})
		var got []string
		for _, s := range recorder.Ended()[:3] {
			attrs := attributesOf(s)
			got = append(got, fmt.Sprint(s.Name(), " ", cmp.Or(attrs["gen_ai.operation.name"].AsString(), "-"), " ", attrs["gen_ai.memory.record.count"].AsInt64()))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s: %s, want %s", semconv, text, want)
		}
		summary := recorder.Ended()[4]
		name, operation := summary.Name(), attributesOf(summary)["gen_ai.operation.name"].AsString()
		records := attributesOf(summary)["gen_ai.memory.record.count"].AsInt64()
		wantName, wantOperation, wantRecords := "summarize gpt-4o", "summarize", int64(0)
		if semconv.latest() {
			wantOperation, wantRecords = "upsert_memory", 1
		}
		if semconv == SemconvLatest {
			wantName = "upsert_memory"
		}
		if name != wantName || operation != wantOperation || records != wantRecords {
			t.Errorf("%s: summary %q, %s of %d", semconv, name, operation, records)
		}
	}
}

// Private

// at is a moment of the calls, in milliseconds after their start.
func at(ms int) time.Time { return answered().Start.Add(time.Duration(ms) * time.Millisecond) }

func attempted(begin, took int, outcome string, status int) Attempt {
	return Attempt{Upstream: "openai", Key: "a", Model: "gpt-4o", Outcome: outcome, Status: status, Breaker: "closed",
		ServerAddress: "api.openai.com", ServerPort: 443, Start: at(begin), Duration: time.Duration(took) * time.Millisecond}
}

func elsewhere(a Attempt) Attempt {
	a.Upstream, a.Key, a.Model, a.Breaker, a.ServerAddress, a.ServerPort = "azure", "k", "gpt-4o-prod", "half-open", "azure.example", 8443
	return a
}

// plainCall is a call without memory, answered at once.
func plainCall() *ChatCall {
	return &ChatCall{
		RequestModel: "gpt-4o", ResponseModel: "gpt-4o-2024-08-06", FinishReason: "stop", Upstream: "openai", KeyLabel: "a",
		Attempts: 1, Status: 200, Tries: []Attempt{attempted(10, 1900, "ok", 200)},
		Usage: Usage{Input: 1000, Output: 200, CachedInput: 900, Source: Measured}, Cost: 3_000_000, Priced: true, CostSource: CostTable,
		Start: at(0), End: at(2000), Parse: phase(0, 2),
	}
}

func memoryCall() *ChatCall {
	c := plainCall()
	c.Session = "customer-4711"
	c.Load, c.Compose, c.Commit = phase(2, 3), phase(5, 1), phase(1980, 15)
	c.Memory = MemoryUse{Status: "ok", Turns: 7, Tokens: 900, Dropped: 3, Summary: "used"}
	return c
}

func phase(begin, took int) Phase {
	return Phase{Start: at(begin), Duration: time.Duration(took) * time.Millisecond}
}

// tree writes the spans at and below root, each with what is special of it.
func tree(spans []*tracepb.Span, root, asked trace.SpanContext, depth int) string {
	var b strings.Builder
	for _, s := range spans {
		id, parent := trace.SpanID(s.GetSpanId()), trace.SpanID{}
		copy(parent[:], s.GetParentSpanId())
		switch {
		case depth == 0 && id != root.SpanID() || depth > 0 && parent != root.SpanID():
		default:
			b.WriteString(strings.Repeat("\t", depth) + strings.TrimSpace(oneLine(s, asked)) + "\n")
			b.WriteString(tree(spans, root.WithSpanID(id), asked, depth+1))
		}
	}
	return b.String()
}

func oneLine(s *tracepb.Span, asked trace.SpanContext) string {
	attrs := make(map[string]string)
	for _, a := range s.GetAttributes() {
		v := a.GetValue()
		attrs[a.GetKey()] = cmp.Or(v.GetStringValue(), fmt.Sprint(v.GetIntValue()))
		if a.GetKey() == "mnemo.cost.usd" {
			attrs[a.GetKey()] = fmt.Sprint(v.GetDoubleValue())
		}
	}
	words := []string{s.GetName()}
	word := func(format string, names ...string) {
		var values []any
		for _, name := range names {
			if attrs[name] == "" {
				return
			}
			values = append(values, attrs[name])
		}
		words = append(words, fmt.Sprintf(format, values...))
	}
	if s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
		words = append(words, "client")
	}
	word("%s", "mnemo.upstream.attempt")
	word("%s", "mnemo.upstream.outcome")
	word("%s", "http.response.status_code")
	word("%s", "mnemo.upstream.breaker")
	word("%s/%s", "mnemo.upstream.name", "mnemo.upstream.key")
	if attrs["mnemo.upstream.attempt"] != "" {
		word("%s", "gen_ai.request.model")
		word("%s:%s", "server.address", "server.port")
	}
	if attrs["mnemo.upstream.billed"] != "" {
		words = append(words, "billed")
	}
	word("cost=%s", "mnemo.cost.usd")
	if s.GetName() != "compose" {
		word("memory=%s/%s/%s/%s/%s", "mnemo.memory.status", "mnemo.memory.turns", "mnemo.memory.tokens", "mnemo.memory.dropped", "mnemo.memory.summary")
	}
	if attrs["mnemo.degraded"] != "" {
		words = append(words, "degraded")
	}
	for _, e := range s.GetEvents() {
		words = append(words, fmt.Sprintf("event:%s@%v", e.GetName(), time.Duration(e.GetTimeUnixNano()-s.GetStartTimeUnixNano())))
	}
	for _, l := range s.GetLinks() {
		if trace.SpanID(l.GetSpanId()) == asked.SpanID() && trace.TraceID(l.GetTraceId()) == asked.TraceID() {
			words = append(words, "link")
		}
	}
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		words = append(words, "error:"+attrs["error.type"])
	}
	return strings.Join(words, " ")
}
