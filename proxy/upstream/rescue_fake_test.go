package upstream

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// A script is an answer as one provider streams it.
type script struct {
	name   string
	pieces []string // of the text
	tools  []string // deltas after it
	usage  int      // completion tokens; 0: it reports none
}

func (s *script) chunk(delta, finish string) string {
	return data(fmt.Sprintf(`{"id":"id-%s","object":"chat.completion.chunk","created":%d,"model":"model-%s","system_fingerprint":"fp","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}],"usage":null}`,
		s.name, len(s.name)+1, s.name, delta, finish))
}

// events are those that follow the text that was told already.
func (s *script) events(told string) []string {
	all := []string{s.chunk(`{"role":"assistant","content":"","refusal":null}`, "null")}
	for _, piece := range s.pieces {
		if skip := min(len(told), len(piece)); skip > 0 {
			piece, told = piece[skip:], told[skip:]
		}
		if piece != "" {
			text, _ := json.Marshal(piece)
			all = append(all, s.chunk(`{"content":`+string(text)+`}`, "null"))
		}
	}
	finish := `"stop"`
	for _, tool := range s.tools {
		all, finish = append(all, s.chunk(tool, "null")), `"tool_calls"`
	}
	all = append(all, s.chunk(`{}`, finish))
	if s.usage > 0 {
		all = append(all, data(fmt.Sprintf(`{"id":"id-%s","object":"chat.completion.chunk","created":9,"model":"model-%[1]s","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":3}}}`,
			s.name, s.usage, 7+s.usage)))
	}
	return append(all, data("[DONE]"))
}

func (s *script) stream() string { return strings.Join(s.events(""), "") }

// whole answers with all of it.
func (s *script) whole(n int, w http.ResponseWriter, r *http.Request) { events(s.stream())(n, w, r) }

// lastMessage is the assistant's that a body ends with.
func lastMessage(body string) string {
	all := gjson.Get(body, "messages").Array()
	if len(all) == 0 || all[len(all)-1].Get("role").Str != "assistant" {
		return ""
	}
	return all[len(all)-1].Get("content").String()
}

// goingOn continues what it is given.
func (s *script) goingOn(up **fake, echo bool) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		told := lastMessage((*up).seen()[n-1].body)
		if echo {
			told = ""
		}
		events(strings.Join(s.events(told), ""))(n, w, r)
	}
}

// reset writes what a stream begins with and resets the connection.
func reset(begin string) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		events(begin)(n, w, r)
		conn, _, _ := w.(http.Hijacker).Hijack()
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

const question = `{"model":"m","stream":true,"messages":[{"role":"user","content":"Count."}]}`

func asking(body string) *Request {
	r := chat("m")
	r.Body = body
	return r
}

// A reply is what a client makes of a stream.
type reply struct {
	text, refusal, finish string
	names, arguments      map[int64]string
	ids                   map[int64]string
	usage                 gjson.Result
	events                []string
}

// readReply fails unless it is one seamless stream.
func readReply(t *testing.T, stream string) reply {
	t.Helper()
	r := reply{names: map[int64]string{}, arguments: map[int64]string{}, ids: map[int64]string{}}
	done, roles, finishes, usages := 0, 0, 0, 0
	heads := map[string]bool{}
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		body, ok := strings.CutPrefix(event, "data: ")
		if done > 0 || !ok {
			t.Fatalf("event %q in %q", event, stream)
		}
		if body == "[DONE]" {
			done++
			continue
		}
		if !gjson.Valid(body) {
			t.Fatalf("event %q is no JSON", event)
		}
		r.events = append(r.events, body)
		chunk := gjson.Parse(body)
		heads[chunk.Get("id").Raw+chunk.Get("model").Raw] = true
		if chunk.Get("choices.0.delta.role").Exists() {
			roles++
		}
		if finish := chunk.Get("choices.0.finish_reason").Str; finish != "" {
			r.finish = finish
			finishes++
		}
		if usage := chunk.Get("usage"); usage.IsObject() {
			r.usage = usage
			usages++
		}
		r.text += chunk.Get("choices.0.delta.content").String()
		r.refusal += chunk.Get("choices.0.delta.refusal").String()
		for _, call := range chunk.Get("choices.0.delta.tool_calls").Array() {
			i := call.Get("index").Int()
			if id := call.Get("id").String(); id != r.ids[i] { // some repeat them
				r.ids[i] += id
			}
			if name := call.Get("function.name").String(); name != r.names[i] {
				r.names[i] += name
			}
			r.arguments[i] += call.Get("function.arguments").String()
		}
	}
	if done != 1 || roles != 1 || finishes != 1 || usages > 1 || len(heads) != 1 {
		t.Fatalf("%d ends, %d roles, %d finish reasons, %d usages, heads %v in\n%s", done, roles, finishes, usages, heads, stream)
	}
	return r
}

// rescuing is a pool of a and b, which rescue each other.
func rescuing(t *testing.T, urls ...string) *Pool {
	t.Helper()
	return newPool(t, rescueOptions(urls...))
}

func rescueOptions(urls ...string) Options {
	o := Options{Resume: true, Retry: Retry{Attempts: 4, Base: time.Millisecond}}
	route := Route{Model: "*"}
	for i, url := range urls {
		name := string(rune('a' + i))
		o.Upstreams = append(o.Upstreams, Upstream{Name: name, URL: url})
		route.To = append(route.To, Candidate{Upstream: name})
	}
	o.Routes = []Route{route}
	return o
}

var counting = script{name: "first", pieces: []string{"One ", "two ", "three,\n\n", "four ", "f\u00fcnf ", "\U0001F600 ", "seven."}}

func whole(s script) string { return strings.Join(s.pieces, "") }
