package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

// waiting is what a fakeModel is told to begin an answer with and then wait.
const waiting = "Take your time."

var nameTold = regexp.MustCompile(`My name is (\w+)`)

// A fakeModel is an upstream that answers from the messages of the call and from
// nothing else. A model's name that is a number is the status it answers with.
type fakeModel struct {
	url string // with /v1
	// ready lets answers that wait go on, once it is closed.
	ready chan struct{}

	mu    sync.Mutex
	calls []modelCall
}

// A modelCall is one request as the upstream got it.
type modelCall struct {
	header http.Header
	body   string
}

func newFakeModel(t *testing.T) *fakeModel {
	f := &fakeModel{ready: make(chan struct{})}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL + "/v1"
	return f
}

// ServeHTTP answers one call.
func (f *fakeModel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	call := modelCall{header: r.Header.Clone(), body: string(body)}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	var status int
	if n, _ := fmt.Sscanf(gjson.Get(call.body, "model").String(), "%d", &status); n == 1 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":"no","type":"t","param":null,"code":"upstream_%d"}}`, status)
		return
	}
	if gjson.Get(call.body, "stream").Bool() {
		f.stream(w, r, &call)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":%s}`,
		quoted(call.reply()), usageOf(&call))
}

// last is the newest call.
func (f *fakeModel) last() modelCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[len(f.calls)-1]
}

// all is every call so far.
func (f *fakeModel) all() []modelCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Private

func (f *fakeModel) stream(w http.ResponseWriter, r *http.Request, call *modelCall) {
	const chunk = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[%s]%s}` + "\n\n"
	w.Header().Set("Content-Type", "text/event-stream")
	reply := call.reply()
	for i, word := range strings.SplitAfter(reply, " ") {
		fmt.Fprintf(w, chunk, `{"index":0,"delta":{"role":"assistant","content":`+quoted(word)+`},"finish_reason":null}`, "")
		w.(http.Flusher).Flush()
		if i == 0 && strings.Contains(reply, waiting) {
			select {
			case <-f.ready:
			case <-r.Context().Done():
				return
			}
		}
	}
	fmt.Fprintf(w, chunk, `{"index":0,"delta":{},"finish_reason":"stop"}`, "")
	if gjson.Get(call.body, "stream_options.include_usage").Bool() {
		fmt.Fprintf(w, chunk, "", `,"usage":`+usageOf(call))
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// reply is what the messages of the call say; nothing, if there are none.
func (c *modelCall) reply() string {
	said := gjson.Get(c.body, "messages.#.content").Array()
	if len(said) == 0 {
		return ""
	}
	question := said[len(said)-1].String()
	if question != "What is my name?" {
		return heard(question)
	}
	for _, s := range slices.Backward(said) {
		if told := nameTold.FindStringSubmatch(s.String()); told != nil {
			return "Your name is " + told[1] + "."
		}
	}
	return "I do not know your name."
}

// messages is the number of messages in the call.
func (c *modelCall) messages() int { return int(gjson.Get(c.body, "messages.#").Int()) }

// heard is how a fakeModel answers what is no question of it.
func heard(text string) string { return "You said: " + text }

// usageOf counts a message as a token.
func usageOf(c *modelCall) string {
	n := c.messages()
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":1,"total_tokens":%d}`, n, n+1)
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(text)
}
