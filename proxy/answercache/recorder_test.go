package answercache

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestFromStream_reads_a_stream_of_the_API(t *testing.T) {
	head := `{"id":"1","object":"chat.completion.chunk","created":7,"model":"m","service_tier":"default","system_fingerprint":"fp","choices":[`
	got, ok := FromStream(stream(
		head+`{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"a"}`,
		head+`{"index":0,"delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"bc"}`,
		head+`{"index":0,"delta":{"content":"lo."},"logprobs":null,"finish_reason":null}],"usage":null}`,
		head+`{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}`,
		head+`],"usage":{"total_tokens":3}}`,
		"[DONE]"))
	want := `{"id":"1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":` +
		`{"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,"finish_reason":"stop"}],` +
		`"usage":{"total_tokens":3},"service_tier":"default","system_fingerprint":"fp"}`
	if !ok || string(got.JSON()) != want {
		t.Errorf("%t: read as\n%s\nwant\n%s", ok, got.JSON(), want)
	}
}

func TestFromStream_joins_what_comes_in_parts(t *testing.T) {
	for _, c := range []struct{ name, path, want, parts string }{
		{"a surrogate pair", "message.content", `"a\ud83d\ude00b"`, `"content":"a\ud83d"|"content":"\ude00b"`},
		{"an empty beginning", "message.content", `"4"`, `"content":null|"content":""|"content":"4"|"content":null`},
		{"reasoning", "message.reasoning_content", `"2 and 2"`, `"reasoning_content":"2 and"|"reasoning_content":" 2","content":""|"content":"4"`},
		{"annotations", "message.annotations", `[{"a":1},{"a":2}]`, `"content":"4","annotations":[{"a":1}]|"annotations":[]|"annotations":[{"a":2}]`},
		{"parts of content", "message.content", `[{"text":"a"},{"text":"b"}]`, `"content":[{"text":"a"}]|"content":[{"text":"b"}]`},
		{"a refusal", "message.refusal", `"No."`, `"content":null,"refusal":"N"|"refusal":"o."`},
		{"a role in each part", "message.role", `"assistant"`, `"role":"assistant","content":"4"|"role":"assistant","content":""`},
		{"a function", "message.function_call", `{"name":"f","arguments":"{}"}`,
			`"function_call":{"name":"f","arguments":""}|"function_call":{"arguments":"{"}|"function_call":{"name":"f","arguments":"}"}`},
		{"what a model thinks of it", "message.depth", "4", `"content":"4","depth":3|"depth":4`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := heard(t, c.parts)
			if value := gjson.GetBytes(got.JSON(), "choices.0."+c.path).Raw; value != c.want {
				t.Errorf("%s is %s, want %s", c.path, value, c.want)
			}
		})
	}
}

func TestFromStream_puts_tool_calls_together(t *testing.T) {
	const a, b = `{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}`, `{"id":"b","type":"function","function":{"name":"g","arguments":"[]"}}`
	for _, c := range []struct{ name, want, parts string }{
		{"by index, one after the other", "[" + a + "," + b + "]", `"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]|` +
			`"tool_calls":[{"index":0,"function":{"arguments":"}"}}]|"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"[]"}}]`},
		{"by index, mixed", "[" + a + "," + b + "]", `"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}},{"index":1,"id":"b","function":{"name":"g"}}]|` +
			`"tool_calls":[{"index":1,"function":{"arguments":"["}},{"index":0,"function":{"arguments":"{"}}]|` +
			`"tool_calls":[{"index":0,"function":{"arguments":"}"}},{"index":1,"function":{"arguments":"]"}}]`},
		{"by id", "[" + a + "," + b + "]", `"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]|"tool_calls":[{"function":{"arguments":"}"}}]|` +
			`"tool_calls":[{"id":"b","function":{"name":"g","arguments":"["}}]|"tool_calls":[{"id":"b","function":{"arguments":"]"}}]`},
		{"all with index 0", "[" + a + "," + b + "]", `"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]|` +
			`"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"[]"}}]`},
		{"with ids and names again", "[" + a + "]", `"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]|` +
			`"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"}"}}]|"tool_calls":[{"index":0,"id":"","function":{"name":""}}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := gjson.GetBytes(heard(t, c.parts).JSON(), "choices.0.message.tool_calls").Raw; got != c.want {
				t.Errorf("they are %s, want %s", got, c.want)
			}
		})
	}
}

func TestFromStream_hears_all_choices(t *testing.T) {
	got, ok := FromStream(stream(
		chunk(`{"index":1,"delta":{"content":"B"}},{"index":0,"delta":{"content":"A"}}`),
		chunk(`{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}`),
		chunk(`{"index":1,"delta":{"content":"b"},"finish_reason":"length"}`)))
	want := chunk(`{"index":0,"message":{"role":"assistant","content":"Aa"},"finish_reason":"stop"},` +
		`{"index":1,"message":{"role":"assistant","content":"Bb"},"finish_reason":"length"}`)
	if want = strings.Replace(want, ".chunk", "", 1); !ok || string(got.JSON()) != want {
		t.Errorf("%t: read as\n%s\nwant\n%s", ok, got.JSON(), want)
	}
}

func TestFromStream_keeps_what_nobody_knows(t *testing.T) {
	got, ok := FromStream(stream(
		`{"id":"1","choices":[],"prompt_filter_results":[{"prompt_index":0}],"citations":["a"]}`,
		`{"id":"1","choices":[{"index":0,"delta":{"content":"4"},"message":{"content":"4"},"content_filter_results":{}}],"citations":["a","b"]}`,
		`{"id":"1","choices":[{"index":0,"delta":{},"message":{"content":"4"},"finish_reason":"stop","content_filter_results":{"hate":1}}],"citations":null}`))
	want := `{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop",` +
		`"content_filter_results":{"hate":1}}],"prompt_filter_results":[{"prompt_index":0}],"citations":["a","b"]}`
	if !ok || string(got.JSON()) != want {
		t.Errorf("%t: read as\n%s\nwant\n%s", ok, got.JSON(), want)
	}
}

func TestFromStream_reads_every_form_of_events(t *testing.T) {
	want, ok := FromStream(stream(delta(`"content":"4"`), finish("stop"), "[DONE]"))
	if !ok {
		t.Fatal("no answer")
	}
	text := string(stream(delta(`"content":"4"`), finish("stop"), "[DONE]"))
	for name, sse := range map[string]string{
		"CRLF":               strings.ReplaceAll(text, "\n", "\r\n"),
		"CR":                 strings.ReplaceAll(text, "\n", "\r"),
		"a byte order mark":  "\xEF\xBB\xBF" + text,
		"comments":           ": hello\n\n" + strings.ReplaceAll(text, "data:", ": keep alive\nevent: message\nid: 7\ndata:"),
		"no blank":           strings.ReplaceAll(text, "data: ", "data:"),
		"data in lines":      strings.ReplaceAll(text, `,"choices"`, "\ndata: ,\"choices\""),
		"no [DONE]":          strings.Replace(text, "data: [DONE]\n\n", "", 1),
		"no last empty line": strings.Replace(text, "\n\ndata: [DONE]\n\n", "", 1),
	} {
		if got, ok := FromStream([]byte(sse)); !ok || got != want {
			t.Errorf("%s: %t, %s", name, ok, got.JSON())
		}
	}
}

func TestFromStream_takes_nothing_that_is_not_whole(t *testing.T) {
	good := []string{delta(`"role":"assistant","content":"4"`), finish("stop"), "[DONE]"}
	for name, sse := range map[string][]byte{
		"nothing":          nil,
		"no events":        []byte("hello"),
		"only the end":     stream("[DONE]"),
		"cut":              stream(good[0]),
		"cut in an event":  append(stream(good[0]), "data: "+finish("stop")[:60]...),
		"an error at last": stream(good[0], good[1], `{"error":{"message":"overloaded"}}`, "[DONE]"),
		"broken JSON":      stream(good[0], `{"id":`, good[1], "[DONE]"),
		"an error's page":  stream(good[0], "<html>", good[1]),
		"filtered":         stream(good[0], finish("content_filter"), "[DONE]"),
		"a second choice":  stream(good[0], chunk(`{"index":1,"delta":{"content":"5"}}`), good[1], "[DONE]"),
		"choice 1 alone":   stream(chunk(`{"index":1,"delta":{"content":"5"},"finish_reason":"stop"}`), "[DONE]"),
		"choice 1000000":   stream(good[0], chunk(`{"index":1000000,"delta":{"content":"5"},"finish_reason":"stop"}`), good[1]),
		"nothing said":     stream(delta(`"role":"assistant","content":""`), finish("stop"), "[DONE]"),
		"a whole answer":   stream(completion(`{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop"}`)),
		"half a character": stream(delta(`"content":"`+"\xf0\x9f"+`"`), good[1]),
		"too much":         append(bytes.Repeat(stream(delta(`"content":"`+strings.Repeat("x", MaxAnswer/4)+`"`)), 5), stream(good[1:]...)...),
		"too many members": stream(delta(`"content":"4"`+manyMembers()), good[1]),
	} {
		if a, ok := FromStream(sse); ok || a != (Answer{}) {
			t.Errorf("%s: %.200s", name, a.JSON())
		}
	}
	if _, ok := FromStream(stream(good...)); !ok {
		t.Error("a good one is not taken")
	}
}

func TestRecorder_hears_what_FromStream_reads_and_keeps_no_bytes(t *testing.T) {
	sse := mustAnswer(t, samples["tool calls"]).Stream(true)
	want, _ := FromStream(sse)
	var r Recorder
	for data := range events(sse) {
		r.Chunk(data)
		clear(data)
	}
	if got, ok := r.Answer(); !ok || got != want {
		t.Errorf("%t, %s", ok, got.JSON())
	}
}

func TestRecorder_stays_bounded(t *testing.T) {
	var r Recorder
	part := []byte(delta(`"content":"` + strings.Repeat("x", 1<<20) + `"`))
	for range 100 {
		r.Chunk(part)
	}
	if !r.failed || r.choices != nil || r.head.members != nil {
		t.Error("it goes on listening")
	}
	if _, ok := r.Answer(); ok {
		t.Error("it has an answer")
	}
}

// heard is the answer of a stream with those deltas, divided by |.
func heard(t *testing.T, deltas string) Answer {
	t.Helper()
	var chunks []string
	for part := range strings.SplitSeq(deltas, "|") {
		chunks = append(chunks, delta(part))
	}
	a, ok := FromStream(stream(append(chunks, finish("stop"), "[DONE]")...))
	if !ok {
		t.Fatal("no answer")
	}
	return a
}

func TestFromStream_hears_the_same_however_a_stream_is_cut(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		text, input := randomText(r)+".", randomText(r)
		var deltas []string
		for _, piece := range cutAnywhere(r, text) {
			deltas = append(deltas, `"content":"`+piece+`"`)
		}
		deltas = append(deltas, `"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]`)
		for _, piece := range cutAnywhere(r, input) {
			deltas = append(deltas, `"tool_calls":[{"index":0,"function":{"arguments":"`+piece+`"}}]`)
		}
		message := gjson.GetBytes(heard(t, strings.Join(deltas, "|")).JSON(), "choices.0.message")
		if got := message.Get("content").Raw; got != `"`+text+`"` {
			t.Fatalf("%q is heard as %s", text, got)
		}
		if got := message.Get("tool_calls.0.function.arguments").Raw; got != `"`+input+`"` {
			t.Fatalf("%q is heard as %s", input, got)
		}
	}
}

// cutAnywhere cuts a text where an upstream may: between characters and escapes, and
// within a surrogate pair.
func cutAnywhere(r *rand.Rand, text string) (pieces []string) {
	for at := 0; at < len(text); {
		end := at
		for range 1 + r.IntN(5) {
			if n := unit(text[end:] + " "); end < len(text) {
				end += min(n, 6)
			}
		}
		pieces = append(pieces, text[at:end])
		at = end
	}
	return pieces
}
