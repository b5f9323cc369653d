package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory/tokens"
)

// A provider is several upstreams, told apart by the first part of the path, which do
// what the plan of each call says and keep books of it.
type provider struct {
	url    string // the upstream's name and /v1 follow
	close  func() // waits for the requests under way
	plans  map[string]*plan
	mu     sync.Mutex
	visits map[string][]*visit // by the call's number
}

// A visit is one request as its upstream sees it, and what the upstream made of it.
type visit struct {
	upstream, model string
	header          http.Header
	status          int
	prompt          int      // tokens of the messages that it got, by the tokenizer
	written         []string // messages, one for each choice, as far as they were delivered
	told            *spent   // the usage that it reported; nil: none
}

// spent is tokens of one request.
type spent struct{ input, cached, written, output, reasoning int64 }

func newProvider(t *testing.T, plans map[string]*plan) *provider {
	p := &provider{plans: plans, visits: map[string][]*visit{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url, p.close = server.URL+"/", server.Close
	return p
}

// ServeHTTP answers one request.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	id := r.Header.Get("X-Call")
	v := &visit{upstream: name, model: gjson.GetBytes(body, "model").String(), header: r.Header.Clone(), prompt: promptOf(string(body))}
	p.mu.Lock()
	p.visits[id] = append(p.visits[id], v)
	number := len(p.visits[id])
	p.mu.Unlock()
	plan := p.plans[id]
	if plan == nil {
		plan = &planNothing
	}
	a := plan.answer(name, number, string(body))
	v.status = a.status
	switch {
	case a.silent:
		plan.arrived()
		nobodyWaits(r)
	case a.status != http.StatusOK:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		fmt.Fprint(w, `{"error":{"message":"no","type":"server_error","param":null,"code":"fault"}}`)
	case gjson.GetBytes(body, "stream").Bool():
		p.stream(w, r, v, plan, a)
	default:
		p.whole(w, v, a)
	}
}

// of is the visits of a call.
func (p *provider) of(call string) []*visit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.visits[call]
}

// bill is what a visit is charged for: what was reported; else, unless it was refused,
// the prompt and what was delivered.
func (v *visit) bill() (s spent, estimated bool) {
	switch {
	case v.told != nil:
		return *v.told, false
	case v.status != http.StatusOK:
		return spent{}, false
	}
	s.input = int64(v.prompt)
	for _, message := range v.written {
		s.output += int64(replyTokens(v.model, message))
	}
	return s, true
}

// Private

// stream writes events, each when the client has seen the one before, until the plan
// has it break or nobody waits any more.
func (p *provider) stream(w http.ResponseWriter, r *http.Request, v *visit, plan *plan, a script) {
	const chunk = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":%q,"choices":[%s]%s}` + "\n\n"
	w.Header().Set("Content-Type", "text/event-stream")
	v.written = make([]string, len(a.choices))
	gathered := make([]gathering, len(a.choices))
	send := func(choices, rest string) {
		fmt.Fprintf(w, chunk, v.model+"-2026-01-01", choices, rest)
		w.(http.Flusher).Flush()
	}
	send(`{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}`, "")
	for i, piece := range a.pieces() {
		if a.stopsAt == i {
			if !plan.sawAll(r, i) {
				return
			}
			if a.leaves {
				nobodyWaits(r)
			}
			panic(http.ErrAbortHandler)
		}
		if a.paced && !plan.sawAll(r, i) {
			return
		}
		p.mu.Lock()
		gathered[piece.choice].add(piece)
		v.written[piece.choice] = gathered[piece.choice].message()
		p.mu.Unlock()
		send(fmt.Sprintf(`{"index":%d,"delta":%s,"finish_reason":null}`, piece.choice, piece.delta), "")
	}
	if a.paced && !plan.sawAll(r, len(a.pieces())) {
		return
	}
	for i := range a.choices {
		send(fmt.Sprintf(`{"index":%d,"delta":{},"finish_reason":"stop"}`, i), "")
	}
	if a.tells && gjson.Get(a.body, "stream_options.include_usage").Bool() {
		v.tell()
		send("", `,"usage":`+v.told.json())
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func (p *provider) whole(w http.ResponseWriter, v *visit, a script) {
	var choices []string
	for i, c := range a.choices {
		choices = append(choices, fmt.Sprintf(`{"index":%d,"message":%s,"finish_reason":"stop"}`, i, c.message()))
		v.written = append(v.written, c.message())
	}
	body := fmt.Sprintf(`{"id":"c","object":"chat.completion","created":1,"model":%q,"choices":[%s]`, v.model+"-2026-01-01", strings.Join(choices, ","))
	w.Header().Set("Content-Type", "application/json")
	if a.stopsAt >= 0 { // in the first choice's text
		text := a.choices[0].content
		at := strings.Index(body, text[:10]) + len(text)*a.stopsAt/10
		v.written = []string{message("assistant", body[strings.Index(body, text[:10]):at])}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)+100))
		fmt.Fprint(w, body[:at])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	if a.tells {
		v.tell()
		body += `,"usage":` + v.told.json()
	}
	fmt.Fprint(w, body+"}")
}

// tell makes the usage that is reported: other figures than the tokenizer's.
func (v *visit) tell() {
	s := &spent{input: int64(v.prompt) + 1, reasoning: 2}
	s.cached, s.written = s.input/2, s.input/8
	for _, m := range v.written {
		s.output += int64(replyTokens(v.model, m)) + 2
	}
	v.told = s
}

func (s *spent) json() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d,"cache_write_tokens":%d},"completion_tokens_details":{"reasoning_tokens":%d}}`,
		s.input, s.output, s.input+s.output, s.cached, s.written, s.reasoning)
}

func (s *spent) add(other spent) {
	s.input, s.cached, s.written = s.input+other.input, s.cached+other.cached, s.written+other.written
	s.output, s.reasoning = s.output+other.output, s.reasoning+other.reasoning
}

// nobodyWaits returns when the client of a request is gone.
func nobodyWaits(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(patience):
	}
}

// promptOf counts what a request's body holds.
func promptOf(body string) int {
	e := tokens.For(gjson.Get(body, "model").String())
	n := tokens.ReplyPriming + e.CountTools(gjson.Get(body, "tools").Raw)
	for _, m := range gjson.Get(body, "messages").Array() {
		n += e.CountMessage(m.Raw)
	}
	return n
}

// replyTokens counts what a model wrote of a message.
func replyTokens(model, message string) int {
	e := tokens.For(model)
	return e.CountMessage(message) - e.CountMessage(`{"role":"assistant","content":""}`)
}
