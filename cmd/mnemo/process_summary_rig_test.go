package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

const (
	// summaryModel writes the summaries of these tests.
	summaryModel = "summarizer"
	// lookUp in a question makes a scribe call a tool.
	lookUp = "Look it up"
	// lookedUp begins a tool's result.
	lookedUp = "Found: "
)

// remark is what each question of these tests names itself by.
var remark = regexp.MustCompile(`remark (\w+)`)

// A scribe is an upstream that answers chats as a fakeModel does, calls a tool
// where it is told to, and has its own way with calls for summaries.
type scribe struct {
	fakeModel
	summarise summarizing
	prompts   sync.Map // the bodies of calls, by the last message of each
}

// A summarizing answers a call for a summary that shows the model so much.
type summarizing func(w http.ResponseWriter, r *http.Request, shown string)

func newScribe(t *testing.T, summarise summarizing) *scribe {
	s := &scribe{fakeModel: fakeModel{ready: make(chan struct{})}, summarise: summarise}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL + "/v1"
	return s
}

// ServeHTTP answers one call.
func (s *scribe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	call := string(body)
	last := gjson.Get(call, "messages.@reverse.0")
	if gjson.Get(call, "model").String() == summaryModel {
		s.summarise(w, r, last.Get("content").String())
		return
	}
	s.prompts.Store(gist(last), call)
	if last.Get("role").String() == "user" && strings.Contains(last.Get("content").String(), lookUp) {
		callTool(w, gjson.Get(call, "stream").Bool(), codeIn(last.Get("content").String()))
		return
	}
	r.Body = io.NopCloser(strings.NewReader(call))
	s.fakeModel.ServeHTTP(w, r)
}

// setup is how a process with summaries before the upstream uses the backend.
func (s *scribe) setup(b backend, budget, maxTokens int, more string) setup {
	o := b.setup(&s.fakeModel)
	o.file += fmt.Sprintf("memory: {strategy: summarize}\nsummarize: {model: %s, max_tokens: %d%s}\n", summaryModel, maxTokens, more)
	o.args = append(o.args, "--budget", strconv.Itoa(budget), "--log-level", "debug")
	return o
}

// writeSummary answers with a text, as a model does.
func writeSummary(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, summaryJSON(`"content":`+quoted(text), "stop"))
}

func summaryJSON(members, finish string) string {
	return fmt.Sprintf(`{"id":"s","object":"chat.completion","created":1,"model":%q,"choices":[{"index":0,"message":{"role":"assistant",%s},"finish_reason":%q}],`+
		`"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`, summaryModel, members, finish)
}

// A dialogue is a session as its client knows it. A group is what one remark leads
// to, calls of tools included.
type dialogue struct {
	session string
	system  string   // the raw message that is sent with each call, or ""
	said    []string // the gists of all messages
	groups  []int    // where each of them begins in said
}

// A composed prompt is what a call of a dialogue sent upstream.
type composed struct {
	body   string
	system string // the text of the instructions
	record string // what they quote; "" if nothing
	first  int    // the first group that is sent word for word
	state  string // what the answer says of the summary
	tokens int    // what it says that memory added
}

// remarks makes a remark. If the model calls its tool, the result is what was
// looked up. It returns what went upstream with each call.
func (d *dialogue) remarks(t *testing.T, m *mnemo, up *scribe, text, found string, stream bool) []composed {
	t.Helper()
	d.groups = append(d.groups, len(d.said))
	first := d.says(t, m, up, message("user", text), stream)
	if !strings.Contains(text, lookUp) {
		return []composed{first}
	}
	code := codeIn(text)
	d.said[len(d.said)-1] = "assistant  " + `["call_` + code + `"] ` // instead of no text
	result := fmt.Sprintf(`{"role":"tool","tool_call_id":"call_%s","content":%q}`, code, lookedUp+found)
	return []composed{first, d.says(t, m, up, result, !stream)}
}

// says sends a message and checks the answer and the prompt.
func (d *dialogue) says(t *testing.T, m *mnemo, up *scribe, raw string, stream bool) composed {
	t.Helper()
	messages := raw
	if d.system != "" {
		messages = d.system + "," + raw
	}
	a, err := m.call(t.Context(), d.session, messages, stream, 0)
	if err != nil || a.status != http.StatusOK || a.header.Get("X-Memory-Status") != "ok" {
		t.Fatalf("%s is answered with %d %s, %v, memory %s", raw, a.status, a.body, err, a.header.Get("X-Memory-Status"))
	}
	said := gist(gjson.Parse(raw))
	d.said = append(d.said, said)
	body, known := up.prompts.Load(said)
	if !known {
		t.Fatalf("%s did not come upstream", raw)
	}
	c := d.read(t, body.(string))
	c.state, c.tokens = a.header.Get("X-Memory-Summary"), number(t, a, "X-Memory-Tokens")
	d.said = append(d.said, gist(gjson.Parse(message("assistant", a.text))))
	return c
}

// read takes a prompt apart. One system message stands at its front, or none, and
// after it whole groups of the dialogue, as they were said, none left out.
func (d *dialogue) read(t *testing.T, body string) composed {
	t.Helper()
	c := composed{body: body, first: -1}
	var said []string
	for i, m := range gjson.Get(body, "messages").Array() {
		if role := m.Get("role").String(); role != "system" && role != "developer" {
			said = append(said, gist(m))
			continue
		}
		if i > 0 {
			t.Errorf("instructions stand at place %d of %s", i, body)
		}
		c.system = textIn(m.Get("content"))
	}
	_, rest, found := strings.Cut(c.system, "<earlier_conversation>\n")
	c.record, rest, _ = strings.Cut(rest, "\n</earlier_conversation>")
	if found && (rest != "" || c.record == "" || strings.Contains(c.record, "earlier_conversation") || !strings.Contains(c.system, "it holds no instructions")) {
		t.Errorf("the record is quoted so: %s", c.system)
	}
	from := len(d.said) - len(said)
	for g, begin := range d.groups {
		if begin == from {
			c.first = g
		}
	}
	if from < 0 || c.first < 0 || strings.Join(said, "\n") != strings.Join(d.said[from:], "\n") {
		t.Fatalf("the prompt does not end as the dialogue does, from a group's beginning:\n%s\n%s", strings.Join(said, "\n"), strings.Join(d.said, "\n"))
	}
	return c
}

// call sends messages; the next attempt of an SDK counts the retries.
func (m *mnemo) call(ctx context.Context, session, messages string, stream bool, retries int) (answer, error) {
	body := fmt.Sprintf(`{"model":"gpt-4o","stream":%t,"messages":[%s]}`, stream, messages)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+clientKey)
	request.Header.Set("X-Session-ID", session)
	request.Header.Set("X-Stainless-Retry-Count", strconv.Itoa(retries))
	response, err := m.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(response, stream)
}

// Private

// gist is a message as far as prompts are compared.
func gist(m gjson.Result) string {
	ids := m.Get("tool_call_id").String()
	if calls := m.Get("tool_calls.#.id"); calls.Exists() {
		ids = calls.Raw
	}
	return m.Get("role").String() + "  " + ids + " " + textIn(m.Get("content"))
}

func textIn(content gjson.Result) string {
	if !content.IsArray() {
		return content.String()
	}
	var texts []string
	for _, part := range content.Array() {
		texts = append(texts, part.Get("text").String())
	}
	return strings.Join(texts, "\n\n")
}

// codeIn is the last remark in a text.
func codeIn(text string) string {
	found := remark.FindAllStringSubmatch(text, -1)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1][1]
}

// codeOf names a group in letters that look like no value.
func codeOf(group int) string {
	return "q" + string(rune('a'+group/26)) + string(rune('a'+group%26))
}

// groupOf is the group of a code; -1 for "".
func groupOf(code string) int {
	if code == "" {
		return -1
	}
	return int(code[1]-'a')*26 + int(code[2]-'a')
}

// callTool answers with a call of a tool.
func callTool(w http.ResponseWriter, stream bool, code string) {
	const usage = `"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}`
	call := fmt.Sprintf(`"id":"call_%s","type":"function","function":{"name":"look_up","arguments":"{}"}`, code)
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{%s}]},"finish_reason":"tool_calls"}],%s}`, call, usage)
		return
	}
	const head = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[`
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, head+`{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,%s}]},"finish_reason":null}]}`+"\n\n", call)
	fmt.Fprint(w, head+`{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`+"\n\n")
	fmt.Fprint(w, head+`],`+usage+"}\n\ndata: [DONE]\n\n")
}

// readAnswer reads an answer to its end. Nothing of it counts if that is missing.
func readAnswer(response *http.Response, stream bool) (answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	if err != nil || a.status != http.StatusOK {
		return a, err
	}
	if !stream {
		a.text = gjson.Get(a.body, "choices.0.message.content").String()
		return a, nil
	}
	for line := range strings.Lines(a.body) {
		a.text += gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta.content").String()
	}
	if !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
		err = fmt.Errorf("the stream has no end: %s", a.body)
	}
	return a, err
}
