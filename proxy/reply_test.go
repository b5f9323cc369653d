package proxy

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"mnemo/telemetry"
)

func chunksOf(chunks ...string) *reply {
	r := &reply{limit: 1 << 20}
	for _, c := range chunks {
		r.chunk([]byte(c))
	}
	return r
}

func TestReply_gathers_text_from_chunks(t *testing.T) {
	r := chunksOf(
		`{"id":"c1","model":"gpt-4o-2024","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]}`,
		`{"id":"c1","model":"gpt-4o-2024","choices":[{"index":0,"delta":{"content":"Hel"}}]}`,
		`{"id":"c1","choices":[{"index":0,"delta":{"content":"lo \"you\"\n"}}]}`,
		`{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
		`{"id":"c1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}}`,
	)
	raw, ok := r.message(false)
	if want := `{"role":"assistant","content":"Hello \"you\"\n"}`; !ok || raw != want {
		t.Errorf("message = %s, %v; want %s", raw, ok, want)
	}
	if !r.complete() || r.finish != "stop" || r.id != "c1" || r.model != "gpt-4o-2024" {
		t.Errorf("reply = %+v", r)
	}
	want := telemetry.Usage{Input: 5, Output: 7, CachedInput: 3, Reasoning: 2, Source: telemetry.Measured}
	if r.usage != want {
		t.Errorf("usage = %+v, want %+v", r.usage, want)
	}
}

func TestReply_joins_a_surrogate_pair_that_chunks_cut(t *testing.T) {
	r := chunksOf(
		`{"choices":[{"index":0,"delta":{"content":"\ud83d"}}]}`,
		`{"choices":[{"index":0,"delta":{"content":"\ude00"},"finish_reason":"stop"}]}`,
	)
	raw, _ := r.message(false)
	var m struct{ Content string }
	if err := json.Unmarshal([]byte(raw), &m); err != nil || m.Content != "😀" {
		t.Errorf("content = %q, %v", m.Content, err)
	}
}

func TestReply_assembles_parallel_tool_calls(t *testing.T) {
	r := chunksOf(
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":"{\"x\""}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}},{"index":1,"function":{"arguments":":1}"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
	)
	raw, ok := r.message(false)
	want := `{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}},` +
		`{"id":"call_b","type":"function","function":{"name":"g","arguments":"{\"x\":1}"}}]}`
	if !ok || raw != want {
		t.Errorf("message = %s\nwant %s", raw, want)
	}
}

func TestReply_tells_calls_without_an_index_apart_by_their_id(t *testing.T) {
	r := chunksOf(
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"function":{"arguments":"}"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"b","function":{"name":"g","arguments":"[]"}}]},"finish_reason":"tool_calls"}]}`,
	)
	raw, _ := r.message(false)
	want := `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"[]"}}]}`
	if raw != want {
		t.Errorf("message = %s\nwant %s", raw, want)
	}
}

func TestReply_keeps_names_that_are_repeated_in_every_chunk_once(t *testing.T) {
	r := chunksOf(
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"}"}}]}}]}`,
	)
	raw, _ := r.message(false)
	if strings.Count(raw, `"name":"f"`) != 1 || !strings.Contains(raw, `"arguments":"{}"`) {
		t.Errorf("message = %s", raw)
	}
}

func TestReply_assembles_custom_tools_and_legacy_functions(t *testing.T) {
	custom := chunksOf(
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"sql","input":"SELECT"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"custom":{"input":" 1"}}]},"finish_reason":"tool_calls"}]}`,
	)
	if raw, _ := custom.message(false); raw != `{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"custom","custom":{"name":"sql","input":"SELECT 1"}}]}` {
		t.Errorf("custom = %s", raw)
	}
	legacy := chunksOf(
		`{"choices":[{"index":0,"delta":{"function_call":{"name":"f","arguments":"{\"a\""}}}]}`,
		`{"choices":[{"index":0,"delta":{"function_call":{"arguments":":1}"}},"finish_reason":"function_call"}]}`,
	)
	if raw, _ := legacy.message(false); raw != `{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}` {
		t.Errorf("legacy = %s", raw)
	}
}

func TestReply_keeps_choice_0_alone(t *testing.T) {
	r := chunksOf(
		`{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"stop"}]}`,
		`{"choices":[{"index":0,"delta":{"content":"yes"}},{"index":1,"delta":{"content":"no"}}]}`,
	)
	if raw, _ := r.message(false); raw != `{"role":"assistant","content":"yes"}` {
		t.Errorf("message = %s", raw)
	}
	if r.complete() {
		t.Error("choice 1 completed choice 0")
	}
}

func TestReply_is_not_complete_after_an_error(t *testing.T) {
	r := chunksOf(
		`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}`,
		`{"error":{"message":"overloaded"}}`,
	)
	if r.complete() {
		t.Error("complete")
	}
	if ok := chunksOf(`{"error":null,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`).complete(); !ok {
		t.Error("a null error failed the stream")
	}
}

func TestReply_a_partial_message_has_no_half_tool_call(t *testing.T) {
	call := `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x"}}]}}]}`
	if raw, ok := chunksOf(call).message(true); ok {
		t.Errorf("a call alone became %s", raw)
	}
	r := chunksOf(`{"choices":[{"index":0,"delta":{"content":"Let me"}}]}`, call)
	if raw, ok := r.message(true); !ok || raw != `{"role":"assistant","content":"Let me"}` {
		t.Errorf("message = %s, %v", raw, ok)
	}
}

func TestReply_passes_over_chunks_that_are_no_JSON(t *testing.T) {
	r := chunksOf(`{"choices":[{"index":0,"delta":{"content":"a"}}]}`, `{not json`, `42`, `null`, `{"choices":42}`, `{"choices":[42]}`, `{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}`)
	if raw, _ := r.message(false); raw != `{"role":"assistant","content":"ab"}` {
		t.Errorf("message = %s", raw)
	}
}

func TestWholeMessage_drops_what_only_answers_have(t *testing.T) {
	body := `{"id":"x","choices":[{"index":1,"message":{"role":"assistant","content":"no"}},{"index":0,"message":{"role":"assistant","content":"a\u00e9","refusal":null,` +
		`"annotations":[],"audio":null,"reasoning_content":"hm","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{ }"}}]},"finish_reason":"stop"}]}`
	r := new(reply)
	if !r.whole(body) {
		t.Fatal("not whole")
	}
	want := `{"role":"assistant","content":"a\u00e9","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{ }"}}]}`
	if got := wholeMessage(body, false); got != want {
		t.Errorf("message = %s\nwant %s", got, want)
	}
}

func TestReply_whole_refuses_what_is_no_chat_completion(t *testing.T) {
	for _, body := range []string{``, `{`, `[]`, `{}`, `{"choices":[]}`, `{"choices":[{"index":1,"message":{}}]}`, `{"choices":[{"index":0}]}`, `{"choices":[{"index":0,"message":"x"}]}`, `42`, `{"choices":{"index":0,"message":{}}}`} {
		if new(reply).whole(body) {
			t.Errorf("%s counts as a chat completion", body)
		}
	}
}

// A text that is cut anywhere into chunks must come out as it was.
func TestReply_any_cut_of_a_text_gives_the_text(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const text = "Grüße, 世界 😀 \"quoted\" \\ back\nslash \u0000 \u2028 end"
	for range 300 {
		r, runes := &reply{limit: 1 << 20}, []rune(text)
		for len(runes) > 0 {
			n := 1 + random.IntN(len(runes))
			part, err := json.Marshal(string(runes[:n]))
			if err != nil {
				t.Fatal(err)
			}
			r.chunk([]byte(`{"choices":[{"index":0,"delta":{"content":` + string(part) + `}}]}`))
			runes = runes[n:]
		}
		raw, _ := r.message(false)
		var m struct{ Content string }
		if err := json.Unmarshal([]byte(raw), &m); err != nil || m.Content != text {
			t.Fatalf("content = %q, %v", m.Content, err)
		}
	}
}
