package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"
)

func TestDemo_keeps_many_sessions_apart(t *testing.T) {
	d := exampleDemo(t)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			name := fmt.Sprintf("Robot%c", 'A'+i)
			client := sessionClient(d, name)
			ask(t, client, "My name is "+name+".")
			ask(t, client, "How are you?")
			if got := ask(t, client, "What is my name?"); got != "Your name is "+name+"." {
				t.Errorf("%s: %s", name, got)
			}
		})
	}
	all.Wait()
}

func TestDemo_forgets_if_memory_is_off(t *testing.T) {
	d := exampleDemo(t)
	client := sessionClient(d, "s")
	ask(t, client, "My name is Ada.")
	unknown := "I do not know your name: this is the only message that I received."
	for mode, want := range map[string]string{
		"off": unknown, "write-only": unknown, "read-only": "Your name is Ada.", "on": "Your name is Ada.",
	} {
		if got := ask(t, client, "What is my name?", option.WithHeader("X-Memory-Mode", mode)); got != want {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

func TestDemo_keeps_the_instructions_of_a_session(t *testing.T) {
	d := exampleDemo(t)
	client := sessionClient(d, "s")
	complete(t, client, nil, openai.SystemMessage("My owner is Grace."), openai.UserMessage("Hello"))
	if got := ask(t, client, "Who is my owner?"); got != "Your owner is Grace." {
		t.Error(got)
	}
	if got := ask(t, client, "Thanks"); got != `I received 6 messages (1 system, 3 user, 2 assistant). The last one says: "Thanks"` {
		t.Error(got)
	}
}

func TestDemo_no_longer_knows_what_the_budget_leaves_out(t *testing.T) {
	d := exampleDemo(t)
	client := sessionClient(d, "s")
	ask(t, client, "My name is Ada.")
	ask(t, client, "A long story: "+strings.Repeat("once upon a time ", 50))
	var answer *http.Response
	readOnly := option.WithHeader("X-Memory-Mode", "read-only")
	if got := ask(t, client, "What is my name?", readOnly, option.WithResponseInto(&answer)); got != "Your name is Ada." {
		t.Error(got)
	}
	// What all of the history takes leaves no room for the question.
	budget := answer.Header.Get("X-Memory-Tokens")
	got := ask(t, client, "What is my name?", readOnly, option.WithHeader("X-Memory-Budget", budget), option.WithResponseInto(&answer))
	if got != "I do not know your name: nothing in the 3 messages that I received says it." {
		t.Error(got)
	}
	if turns, dropped := answer.Header.Get("X-Memory-Turns"), answer.Header.Get("X-Memory-Dropped"); turns != "1" || dropped != "1" {
		t.Errorf("%s sent, %s dropped", turns, dropped)
	}
	// It is out of the prompt, not out of the log.
	if got := ask(t, client, "What is my name?"); got != "Your name is Ada." {
		t.Error(got)
	}
}

func TestDemo_counts_what_memory_adds(t *testing.T) {
	d := exampleDemo(t)
	client := sessionClient(d, "s")
	alone := complete(t, client, nil, openai.UserMessage("My name is Ada.")).Usage.PromptTokens
	var answer *http.Response
	second := complete(t, client, []option.RequestOption{option.WithResponseInto(&answer)}, openai.UserMessage("My name is Ada."))
	added, err := strconv.ParseInt(answer.Header.Get("X-Memory-Tokens"), 10, 64)
	if err != nil || second.Usage.PromptTokens != alone+added {
		t.Errorf("the upstream counts %d and then %d tokens, memory added %d (%v)", alone, second.Usage.PromptTokens, added, err)
	}
}

func TestDemo_passes_through_what_is_no_chat(t *testing.T) {
	d := exampleDemo(t)
	for path, status := range map[string]int{"/models": http.StatusOK, "/models/" + demoModelName: http.StatusOK, "/files": http.StatusNotFound} {
		through, direct := exchange(t, http.MethodGet, d.url+path, ""), exchange(t, http.MethodGet, d.model.url()+path, "")
		if through.status != status || through.status != direct.status || through.body != direct.body {
			t.Errorf("%s: %d %s, directly %d %s", path, through.status, through.body, direct.status, direct.body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// Whatever a body holds, the model answers or says what is wrong with it.
func FuzzDemoModel_survives_any_body(f *testing.F) {
	f.Add([]byte(helloBody + `}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"my name is ’"}]}],"n":1,"stream":true}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"weather in X"}],"tools":[` + weatherTool + `,` + trainsTool + `],"tool_choice":"required"}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":""}],"tools":{"function":1},"tool_choice":[]}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a"}]},{"role":"tool","tool_call_id":"a"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, bad := parseDemoRequest(body)
		if bad != nil {
			if bad.Status != http.StatusBadRequest || bad.Message == "" {
				t.Errorf("%+v", bad)
			}
			return
		}
		reply := r.answer(1)
		if (reply.Content == nil) == (reply.ToolCalls == nil) {
			t.Fatalf("a reply is text or calls: %+v", reply)
		}
		said := ""
		for _, delta := range reply.deltas() {
			if delta.Content != nil {
				said += *delta.Content
			}
			for _, call := range delta.ToolCalls {
				said += call.Function.Arguments
			}
		}
		if reply.Content != nil && said != *reply.Content || reply.Content == nil && (said != reply.ToolCalls[0].Function.Arguments || !gjson.Valid(said)) {
			t.Errorf("%+v is streamed as %s", reply, said)
		}
		if usage := r.usage(reply); usage.PromptTokens <= 0 || usage.TotalTokens != usage.PromptTokens+usage.CompletionTokens {
			t.Errorf("%+v", usage)
		}
	})
}

// sessionClient is the official client with a session.
func sessionClient(d *demo, session string) openai.Client {
	return openai.NewClient(option.WithBaseURL(d.url), option.WithAPIKey("demo"), option.WithHeader("X-Session-ID", session),
		option.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
}

// ask sends one message and returns the text of the answer.
func ask(t *testing.T, client openai.Client, text string, options ...option.RequestOption) string {
	t.Helper()
	return complete(t, client, options, openai.UserMessage(text)).Choices[0].Message.Content
}

func complete(t *testing.T, client openai.Client, options []option.RequestOption, messages ...openai.ChatCompletionMessageParamUnion) *openai.ChatCompletion {
	t.Helper()
	completion, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: demoModelName, Messages: messages}, options...)
	if err != nil {
		t.Error(err)
		return &openai.ChatCompletion{Choices: make([]openai.ChatCompletionChoice, 1)}
	}
	return completion
}
