package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"mnemo/memory/tokens"
)

const helloBody = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello, who are you?"}]`

func TestDemoModel_answers_in_the_shape_of_the_api(t *testing.T) {
	m := demoModelFor(t, 0)
	first, second := chat(t, m, helloBody+`}`), chat(t, m, helloBody+`}`)
	if first.status != http.StatusOK || first.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", first.status, first.header)
	}
	text := `I received 1 message (1 user). The last one says: "Hello, who are you?"`
	for path, want := range map[string]string{
		"object":                       "chat.completion",
		"model":                        "gpt-4o-mini",
		"id":                           "chatcmpl-demo-1",
		"choices.#":                    "1",
		"choices.0.index":              "0",
		"choices.0.message.role":       "assistant",
		"choices.0.message.content":    text,
		"choices.0.message.refusal":    "",
		"choices.0.message.tool_calls": "",
		"choices.0.finish_reason":      "stop",
	} {
		if got := gjson.Get(first.body, path).String(); got != want {
			t.Errorf("%s is %q", path, got)
		}
	}
	if got, want := gjson.Get(second.body, "choices").Raw, gjson.Get(first.body, "choices").Raw; got != want {
		t.Errorf("the same messages get %s and %s", want, got)
	}
	if gjson.Get(second.body, "id").String() != "chatcmpl-demo-2" || gjson.Get(first.body, "created").Int() < m.started.Unix() {
		t.Error(second.body)
	}
	count := tokens.For("gpt-4o-mini")
	prompt := tokens.ReplyPriming + count.CountMessage(gjson.Get(helloBody+"}", "messages.0").Raw)
	wantUsage(t, first.body, prompt, count.Count(text))
}

func TestDemoModel_streams_word_by_word(t *testing.T) {
	m := demoModelFor(t, 0)
	whole := gjson.Get(chat(t, m, helloBody+`}`).body, "choices.0.message.content").String()
	plain := chat(t, m, helloBody+`,"stream":true}`)
	if got := plain.header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Error(got)
	}
	events := eventsOf(t, plain.body)
	text := ""
	for i, event := range events[:len(events)-1] {
		if i == 0 && gjson.Get(event, "choices.0.delta.role").String() != "assistant" {
			t.Errorf("the first event is %s", event)
		}
		if gjson.Get(event, "object").String() != "chat.completion.chunk" || gjson.Get(event, "usage").Exists() {
			t.Error(event)
		}
		text += gjson.Get(event, "choices.0.delta.content").String()
	}
	if text != whole || len(events) != len(strings.Fields(whole))+3 || events[len(events)-1] != "[DONE]" {
		t.Errorf("%d events say %q", len(events), text)
	}
	if last := events[len(events)-2]; gjson.Get(last, "choices.0.finish_reason").String() != "stop" {
		t.Error(last)
	}
}

func TestDemoModel_streams_usage_if_asked(t *testing.T) {
	m := demoModelFor(t, 0)
	usage := gjson.Get(chat(t, m, helloBody+`}`).body, "usage").Raw
	events := eventsOf(t, chat(t, m, helloBody+`,"stream":true,"stream_options":{"include_usage":true}}`).body)
	last := events[len(events)-2]
	if gjson.Get(last, "usage").Raw != usage || gjson.Get(last, "choices").Raw != "[]" {
		t.Errorf("%s, not %s", last, usage)
	}
	for _, event := range events[:len(events)-2] {
		if gjson.Get(event, "usage").Raw != "null" {
			t.Error(event)
		}
	}
}

func TestDemoModel_ends_a_stream_whose_client_left(t *testing.T) {
	m := demoModelFor(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url()+"/chat/completions", strings.NewReader(helloBody+`,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != "data:" {
		t.Errorf("%q, %v", line, err)
	}
	cancel()
	response.Body.Close() // goleak sees to it that the stream's goroutine ends
}

func TestDemoModel_calls_tools_for_the_official_client(t *testing.T) {
	m := demoModelFor(t, 0)
	client := openai.NewClient(option.WithBaseURL(m.url()), option.WithAPIKey("k"))
	params := openai.ChatCompletionNewParams{
		Model:    demoModelName,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("What is the weather in New York City?")},
		Tools:    []openai.ChatCompletionToolUnionParam{},
	}
	for _, name := range []string{"clock", "get_weather"} {
		params.Tools = append(params.Tools, openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
			Name: name, Parameters: openai.FunctionParameters{"required": []string{"city"}, "properties": map[string]any{"city": map[string]any{"type": "string"}}},
		}))
	}
	whole, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var streamed openai.ChatCompletionAccumulator
	for stream.Next() {
		if !streamed.AddChunk(stream.Current()) {
			t.Errorf("a chunk does not fit: %s", stream.Current().RawJSON())
		}
	}
	if stream.Err() != nil {
		t.Fatal(stream.Err())
	}
	for i, choice := range []openai.ChatCompletionChoice{whole.Choices[0], streamed.Choices[0]} {
		calls := choice.Message.ToolCalls
		if choice.FinishReason != "tool_calls" || choice.Message.Content != "" || len(calls) != 1 ||
			calls[0].Function.Name != "get_weather" || calls[0].Function.Arguments != `{"city": "New York City"}` || calls[0].ID != fmt.Sprintf("call_demo_%d", i+1) {
			t.Errorf("%s, %+v", choice.FinishReason, choice.Message)
		}
	}
	raw, _ := json.Marshal(params)
	count := tokens.For(demoModelName)
	reply := gjson.Get(whole.RawJSON(), "choices.0.message").Raw
	wantUsage(t, whole.RawJSON(), tokens.ReplyPriming+count.CountMessage(gjson.GetBytes(raw, "messages.0").Raw)+count.CountTools(gjson.GetBytes(raw, "tools").Raw), count.CountMessage(reply))
}

func TestDemoModel_refuses_what_the_api_refuses(t *testing.T) {
	m := demoModelFor(t, 0)
	call := `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	for _, c := range []struct{ body, param, says string }{
		{``, "", "no chat completion request"},
		{`[]`, "", "no chat completion request"},
		{`{"model":1}`, "", "no chat completion request"},
		{`{"messages":[{"role":"user","content":"x"}]}`, "model", "model"},
		{`{"model":"m"}`, "messages", "at least one"},
		{`{"model":"m","messages":[]}`, "messages", "at least one"},
		{`{"model":"m","messages":[1]}`, "messages[0]", "messages[0]"},
		{`{"model":"m","messages":[{"role":"king","content":"x"}]}`, "messages[0].role", "system, developer, user, assistant, tool"},
		{`{"model":"m","messages":[{"role":"user","content":{}}]}`, "messages[0]", "string or an array"},
		{helloBody + `,"n":2}`, "n", "n must be 1"},
		{helloBody + `,"stream_options":{"include_usage":true}}`, "stream_options", "only allowed with stream"},
		{`{"model":"m","messages":[{"role":"tool","tool_call_id":"a","content":"x"}]}`, "messages[0]", "must answer a call"},
		{`{"model":"m","messages":[` + call + `,{"role":"tool","tool_call_id":"b","content":"x"}]}`, "messages[1]", "must answer a call"},
		{`{"model":"m","messages":[` + call + `,{"role":"user","content":"x"}]}`, "messages[1]", `"a" must be answered first`},
		{`{"model":"m","messages":[` + call + `]}`, "messages", `"a" is not answered`},
	} {
		got := chat(t, m, c.body)
		problem := gjson.Get(got.body, "error")
		if got.status != http.StatusBadRequest || problem.Get("param").String() != c.param || problem.Get("type").String() != "invalid_request_error" ||
			!strings.Contains(problem.Get("message").String(), c.says) || !problem.Get("code").Exists() {
			t.Errorf("%s: %d %s", c.body, got.status, got.body)
		}
	}
	if got := chat(t, m, helloBody+`,"n":1,"tools":null,"stream_options":null,"unknown":{}}`); got.status != http.StatusOK {
		t.Error(got.body)
	}
}

func TestDemoModel_bounds_what_it_reads(t *testing.T) {
	m := demoModelFor(t, 0)
	fit := helloBody + `,"x":"` + strings.Repeat("x", demoBody-len(helloBody)-8) + `"}`
	if got := chat(t, m, fit); len(fit) != demoBody || got.status != http.StatusOK {
		t.Errorf("%d bytes: %d %s", len(fit), got.status, got.body)
	}
	if got := chat(t, m, fit+" "); got.status != http.StatusRequestEntityTooLarge || gjson.Get(got.body, "error.message").String() == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestDemoModel_lists_itself_and_nothing_else(t *testing.T) {
	m := demoModelFor(t, 0)
	list := exchange(t, http.MethodGet, m.url()+"/models", "")
	one := exchange(t, http.MethodGet, m.url()+"/models/"+demoModelName, "")
	if gjson.Get(list.body, "object").String() != "list" || gjson.Get(list.body, "data.0").Raw != strings.TrimSpace(one.body) {
		t.Errorf("%s, %s", list.body, one.body)
	}
	if gjson.Get(one.body, "id").String() != demoModelName || gjson.Get(one.body, "object").String() != "model" {
		t.Error(one.body)
	}
	for url, code := range map[string]string{"/models/gpt-4o": "model_not_found", "/embeddings": "unknown_url"} {
		if got := exchange(t, http.MethodGet, m.url()+url, ""); got.status != http.StatusNotFound || gjson.Get(got.body, "error.code").String() != code {
			t.Errorf("%s: %d %s", url, got.status, got.body)
		}
	}
}

// demoModelFor starts a model for one test, which must leave nothing running.
func demoModelFor(t *testing.T, pause time.Duration) *demoModel {
	t.Helper()
	running := goleak.IgnoreCurrent()
	m, err := startDemoModel(t.Context(), pause)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := m.close(); err != nil {
			t.Error(err)
		}
		// net/http waits half a second for whom it refused a body.
		goleak.VerifyNone(t, running, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
	})
	return m
}

type exchanged struct {
	status int
	header http.Header
	body   string
}

func chat(t *testing.T, m *demoModel, body string) exchanged {
	t.Helper()
	return exchange(t, http.MethodPost, m.url()+"/chat/completions", body)
}

func exchange(t *testing.T, method, url, body string) exchanged {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return exchanged{response.StatusCode, response.Header, text.String()}
}

func eventsOf(t *testing.T, stream string) (events []string) {
	t.Helper()
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data, found := strings.CutPrefix(event, "data: ")
		if !found {
			t.Errorf("no event: %q", event)
		}
		events = append(events, data)
	}
	return events
}

func wantUsage(t *testing.T, body string, prompt, completion int) {
	t.Helper()
	want := demoUsage{prompt, completion, prompt + completion}
	var got demoUsage
	if err := json.Unmarshal([]byte(gjson.Get(body, "usage").Raw), &got); err != nil || got != want {
		t.Errorf("usage is %+v, not %+v", got, want)
	}
}
