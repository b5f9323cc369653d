package answercache

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func TestStream_and_back_is_the_same_answer(t *testing.T) {
	for name, body := range samples {
		t.Run(name, func(t *testing.T) { roundTrip(t, body) })
	}
}

func TestStream_and_back_is_the_same_answer_whatever_it_says(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		roundTrip(t, randomCompletion(r))
	}
}

func TestStream_is_what_the_API_sends(t *testing.T) {
	a := mustAnswer(t, completion(`{"index":0,"message":{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}`))
	const head = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1759900000,"model":"gpt-4o-2024-08-06",` +
		`"service_tier":"default","system_fingerprint":"fp_1","choices":[`
	plain := head + `{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]` + "}\n\n" +
		head + `{"index":0,"delta":{"content":"Hello."},"logprobs":null,"finish_reason":null}]` + "}\n\n" +
		head + `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]` + "}\n\n"
	if got, want := string(a.Stream(false)), plain+"data: [DONE]\n\n"; got != want {
		t.Errorf("without usage:\n%s\nwant\n%s", got, want)
	}
	asked := strings.ReplaceAll(plain, "]}\n\n", `],"usage":null}`+"\n\n") + head + `],"usage":{"prompt_tokens":12,` +
		`"completion_tokens":7,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":4}}}` + "\n\n"
	if got, want := string(a.Stream(true)), asked+"data: [DONE]\n\n"; got != want {
		t.Errorf("with usage:\n%s\nwant\n%s", got, want)
	}
}

func TestStream_tells_no_usage_that_nobody_knows(t *testing.T) {
	got := string(mustAnswer(t, samples["no usage and less"]).Stream(true))
	if strings.Contains(got, `"choices":[],`) || strings.Count(got, `"usage":null`) != 3 {
		t.Error(got)
	}
}

func TestStream_sends_each_call_by_its_index_and_its_input_in_pieces(t *testing.T) {
	var ids, inputs [2]string
	var pieces int
	for data := range events(mustAnswer(t, samples["tool calls"]).Stream(false)) {
		for _, call := range gjson.GetBytes(data, "choices.0.delta.tool_calls").Array() {
			at := call.Get("index").Int()
			ids[at] += call.Get("id").Str
			inputs[at] += call.Get("function.arguments").Str
			pieces++
		}
	}
	if ids != [2]string{"call_1", "call_2"} || !gjson.Valid(inputs[0]) || inputs[1] != "" || pieces < 5 {
		t.Errorf("%q with %q in %d pieces", ids, inputs, pieces)
	}
}

func TestStream_tells_log_probabilities_with_the_text_that_they_are_about(t *testing.T) {
	for data := range events(mustAnswer(t, samples["log probabilities"]).Stream(false)) {
		choice := gjson.GetBytes(data, "choices.0")
		text, tokens := choice.Get("delta.content").Str, ""
		for _, token := range choice.Get("logprobs.content.#.token").Array() {
			tokens += token.Str
		}
		// A token that is cut between two pieces is told with the first.
		if d := len(text) - len(tokens); d < -5 || d > 5 || choice.Get("finish_reason").Str != "" && choice.Get("logprobs").Raw != "null" {
			t.Errorf("%q is told with %q", text, tokens)
		}
	}
}

func TestStream_cuts_texts_where_each_piece_can_be_shown(t *testing.T) {
	pieces := 0
	for data := range events(mustAnswer(t, samples["escapes"]).Stream(false)) {
		text := gjson.GetBytes(data, "choices.0.delta.content").Str
		if !utf8.Valid(data) || strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("%q", data)
		}
		pieces++
	}
	if pieces < 10 {
		t.Errorf("only %d pieces", pieces)
	}
}

func TestStream_names_what_nobody_knows_once(t *testing.T) {
	for _, name := range []string{"what nobody knows", "more above"} {
		got := string(mustAnswer(t, samples[name]).Stream(true))
		for _, member := range []string{"reasoning_content", "stop_reason", "citations", "provider"} {
			if want := strings.Count(samples[name], member); strings.Count(got, member) != want {
				t.Errorf("%s is there %d times, want %d", member, strings.Count(got, member), want)
			}
		}
	}
}

// roundTrip checks that an answer is what it was after it was a stream, and that the
// stream consists of chunks.
func roundTrip(t *testing.T, body string) {
	t.Helper()
	a := mustAnswer(t, body)
	if got := string(a.JSON()); got != body {
		t.Fatalf("read as\n%s\nwant\n%s", got, body)
	}
	sse := a.Stream(true)
	back, ok := FromStream(sse)
	if !ok || string(back.JSON()) != body {
		t.Fatalf("%t: came back as\n%s\nwant\n%s", ok, back.JSON(), body)
	}
	finished := 0
	for data := range events(sse) {
		if string(data) == "[DONE]\n" {
			continue
		}
		if !gjson.ValidBytes(data) || gjson.GetBytes(data, "object").Str != "chat.completion.chunk" {
			t.Fatalf("a chunk is %s", data)
		}
		if gjson.GetBytes(data, "choices.0.finish_reason").Str != "" {
			finished++
		}
	}
	if want := len(gjson.Get(body, "choices").Array()); finished != want {
		t.Fatalf("%d choices end, want %d:\n%s", finished, want, sse)
	}
}
