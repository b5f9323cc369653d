package main

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// clientSpan is the span of a client that calls.
const clientSpan = "00f067aa0ba902b7"

// A tracedCall is a call and the spans that it must become: a line each, with what is
// special of it, children below.
type tracedCall struct {
	kind, model, session string
	earlier              int // calls of the session before
	want                 string
}

var tracedCalls = map[string]tracedCall{
	"plain": {"plain", "gpt-4o", "", 0, `
chat gpt-4o 200 tells
	attempt tells first ok 200
`},
	"with memory": {"plain", "gpt-4o", "memory", 1, `
chat gpt-4o 200 tells memory=ok/1
	load
	compose
	attempt tells first ok 200
	commit
`},
	"stream": {"stream", "gpt-4o", "", 0, `
chat gpt-4o 200 tells mnemo.first_token
	attempt tells first ok 200
`},
	"client gone": {"left", "gpt-4o", "gone", 0, `
chat gpt-4o 499 tells memory=ok/0 mnemo.first_token error=client_gone
	load
	compose
	attempt tells first ok 200
	commit
`},
	"retried": {"retried", "gpt-4o", "", 0, `
chat gpt-4o 200 tells
	attempt tells first server_error 500 error=server_error
	attempt tells retry ok 200
`},
	"hedged": {"hedged", "hedge", "", 0, `
chat hedge 200 tells mnemo.first_token
	attempt slow first outrun billed
	attempt tells hedge ok 200
`},
	"fallback after a cut": {"rescued", "rescue-afresh", "", 0, `
chat rescue-afresh 200 tells mnemo.first_token
	attempt brittle first ok 200 billed
	attempt tells rescue ok 200
`},
	"summary linked": {"plain", "gpt-4o", "summary", 3, `
chat gpt-4o 200 tells memory=ok/1
	load
	compose
	attempt tells first ok 200
	commit
summarize gpt-4o 200 tells link
	attempt tells first ok 200
`},
}

func TestAccount_of_every_kind_of_call_is_a_trace_of_the_clients(t *testing.T) {
	for protocol, collect := range collectors {
		t.Run(protocol, func(t *testing.T) {
			plans := map[string]*plan{}
			books, traces := newProvider(t, plans), collect(t)
			random := rand.New(rand.NewPCG(8, 8))
			parents := map[string]string{}
			for _, name := range slices.Sorted(maps.Keys(tracedCalls)) {
				c := tracedCalls[name]
				for i := range c.earlier + 1 {
					plans[fmt.Sprint(name, i)] = c.plan(random)
				}
				parents[name] = fmt.Sprintf("00-%032x-%s-01", len(parents)+1, clientSpan)
			}
			m := serve(t, setup{file: accountFile(books) + "memory: {strategy: summarize, budget: 700}\n", environ: traces.environ})
			for _, name := range slices.Sorted(maps.Keys(tracedCalls)) {
				c := tracedCalls[name]
				for i := range c.earlier + 1 {
					id, p := fmt.Sprint(name, i), plans[fmt.Sprint(name, i)]
					if i == c.earlier {
						p.header = http.Header{"Traceparent": {parents[name]}, "Tracestate": {"vendor=1"}}
					}
					heard, err := caller{m}.call(t.Context(), id, p)
					if err := p.check(heard, err); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
			m.reaches(t, "mnemo_summaries_total", 1)
			m.terminate(t)
			m.wait(t)
			books.close()
			spans := traces.all()
			for name, c := range tracedCalls {
				root := rootOf(spans, strings.Split(parents[name], "-")[1])
				if root.Span == nil {
					t.Errorf("%s: there is no trace", name)
					continue
				}
				if got := treeOf(spans, root, strings.Contains(c.want, "link")); got != c.want {
					t.Errorf("%s: got %swant %s", name, got, c.want)
				}
				if root.parent() != clientSpan || root.GetTraceState() != "vendor=1" {
					t.Errorf("%s: its parent is %s, its state %q", name, root.parent(), root.GetTraceState())
				}
				for _, v := range books.of(fmt.Sprint(name, c.earlier)) {
					if up := v.header.Get("Traceparent"); up != "00-"+root.trace()+"-"+root.id()+"-01" || v.header.Get("Tracestate") != "vendor=1" {
						t.Errorf("%s: traceparent %s goes up, of a call that is %s in %s", name, up, root.id(), root.trace())
					}
				}
			}
		})
	}
}

// plan is that of the call, long enough that a few of them outgrow the budget.
func (c tracedCall) plan(r *rand.Rand) *plan {
	p := &plan{kind: c.kind, key: clientKey, session: c.session, stream: c.kind != "plain" && c.kind != "retried", leaves: c.kind == "left",
		came: make(chan struct{}), saw: make(chan struct{}), full: []reply{{content: prose(r, 100)}}}
	p.body = fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[%s]}`, c.model, p.stream, message("user", prose(r, 100)))
	p.behave(r)
	if answer := p.answer; c.kind == "retried" {
		p.answer = func(upstream string, number int, body string) script {
			return answer(upstream, number*number*number, body) // it fails once, not twice
		}
	}
	return p
}

// rootOf is the call's span in a trace.
func rootOf(spans []span, trace string) span {
	for _, s := range spans {
		if s.trace() == trace && strings.HasPrefix(s.GetName(), "chat ") {
			return s
		}
	}
	return span{}
}

// treeOf writes a span and those below, and those with a link to it if they are wanted.
func treeOf(spans []span, root span, linked bool) string {
	var b strings.Builder
	b.WriteString("\n" + lineOf(root) + "\n")
	below := func(of span) {
		for _, s := range spans {
			if s.parent() == of.id() {
				b.WriteString("\t" + lineOf(s) + "\n")
			}
		}
	}
	below(root)
	for _, s := range spans {
		for _, l := range s.GetLinks() {
			if linked && hex.EncodeToString(l.GetSpanId()) == root.id() && s.trace() != root.trace() {
				b.WriteString(lineOf(s) + " link\n")
				below(s)
			}
		}
	}
	return b.String()
}

// lineOf is a span's name and what is special of it.
func lineOf(s span) string {
	words := []string{s.GetName()}
	add := func(text string) {
		if text != "" {
			words = append(words, text)
		}
	}
	add(s.text("mnemo.upstream.attempt"))
	add(s.text("mnemo.upstream.outcome"))
	if status := s.number("http.response.status_code"); status != 0 {
		add(fmt.Sprint(status))
	}
	if s.text("mnemo.upstream.attempt") == "" {
		add(s.text("mnemo.upstream.name"))
	}
	if status := s.text("mnemo.memory.status"); status != "" {
		add(fmt.Sprintf("memory=%s/%d", status, s.number("mnemo.memory.turns")))
	}
	if s.attributes["mnemo.upstream.billed"].GetBoolValue() {
		add("billed")
	}
	for _, e := range s.GetEvents() {
		add(e.GetName())
	}
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		add("error=" + s.text("error.type"))
	}
	return strings.Join(words, " ")
}
