package upstream

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func toolScript(name, id string) script {
	return script{name: name, pieces: []string{"Let me ", "look."}, tools: []string{
		`{"tool_calls":[{"index":0,"id":"` + id + `0","type":"function","function":{"name":"get_weather","arguments":""}}]}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":"\"Wien\"}"}}]}`,
		`{"tool_calls":[{"index":1,"id":"` + id + `1","type":"function","function":{"name":"get_time","arguments":"{\"zo"}}]}`,
		`{"tool_calls":[{"index":1,"function":{"arguments":"ne\":\"CET\"}"}}]}`,
	}}
}

func TestRescue_goes_on_with_tool_calls_under_their_first_ids(t *testing.T) {
	first, other := toolScript("first", "x"), toolScript("other", "y")
	// The other says the same in other pieces.
	other.pieces = []string{"Let", " me look", "."}
	other.tools = []string{
		`{"tool_calls":[{"index":0,"id":"y0","type":"function","function":{"name":"get_weather","arguments":"{\"ci"}}]}`,
		`{"tool_calls":[{"index":0,"id":"y0","type":"function","function":{"name":"get_weather","arguments":"ty\":\"Wi"}}]}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":"en\"}"}},{"index":1,"id":"y1","type":"function","function":{"name":"get_time","arguments":"{\"zone\":\"C"}}]}`,
		`{"tool_calls":[{"index":1,"function":{"arguments":"ET\"}"}}]}`,
	}
	all := first.events("")
	for cut := 2; cut < len(all)-2; cut++ {
		up, second := newFake(t, reset(strings.Join(all[:cut], ""))), newFake(t, other.whole)
		o := rescueOptions(up.URL, second.URL)
		_, body, _ := newPool(t, o).call(t, asking(question))
		got := readReply(t, body)
		if got.text != "Let me look." || got.finish != "tool_calls" || len(got.names) != 2 ||
			got.names[0] != "get_weather" || got.arguments[0] != `{"city":"Wien"}` || got.names[1] != "get_time" || got.arguments[1] != `{"zone":"CET"}` {
			t.Errorf("cut before event %d: %+v", cut, got)
		}
		if id := got.ids[0]; cut > 3 && id != "x0" {
			t.Errorf("cut before event %d: id %q", cut, id)
		}
		if id := got.ids[1]; cut > 6 && id != "x1" || cut <= 6 && id != "y1" {
			t.Errorf("cut before event %d: id %q", cut, id)
		}
	}
}

func TestRescue_does_not_go_on_with_another_tool_call(t *testing.T) {
	for name, change := range map[string][2]string{
		"another tool":     {"get_weather", "get_climate"},
		"another argument": {"Wien", "Graz"},
		"another text":     {"look", "see"},
		"no index":         {`{"index":0,"id"`, `{"id"`},
	} {
		first := toolScript("first", "x")
		all := first.events("")
		up, second := newFake(t, reset(strings.Join(all[:6], ""))), newFake(t, events(strings.ReplaceAll(first.stream(), change[0], change[1])))
		p := newPool(t, rescueOptions(up.URL, second.URL))
		answer, err := p.Do(t.Context(), asking(question))
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		buf := make([]byte, 999)
		for err == nil {
			var n int
			n, err = answer.Body.Read(buf)
			body.Write(buf[:n])
		}
		answer.Finish(Cut)
		if body.String() != strings.Join(all[:6], "") || p.Status()[1].ErrorRate != 0 {
			t.Errorf("%s: read %q, %v", name, body.String(), err)
		}
	}
}

func TestSeam_leaves_the_rest_of_a_chunk_as_it_was(t *testing.T) {
	client := told{id: `"one"`, created: "1", model: `"m"`, role: true, text: []byte(`a\u00e4"`[:7]), begun: true}
	for name, c := range map[string]struct{ in, out string }{
		"split":       {`{"id":"two","choices":[{"index":0,"delta":{"role":"assistant","content":"a\u00e4 b\/c"},"logprobs":{"content":[1.50]},"finish_reason":null}],"x":1E+2}`, `{"id":"one","choices":[{"index":0,"delta":{"content":" b\/c"},"logprobs":{"content":[1.50]},"finish_reason":null}],"x":1E+2}`},
		"nothing new": {`{"id":"two","choices":[{"index":0,"delta":{"content":"aä"}}]}`, ""},
		"at the end":  {`{"created":2,"choices":[{"index":0,"delta":{"content":"aä"},"finish_reason":"stop"}]}`, `{"created":1,"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}`},
	} {
		if out, err := newSeam(&client).chunk(c.in); err != nil || out != c.out {
			t.Errorf("%s: %s, %v", name, out, err)
		}
	}
	s := newSeam(&client)
	for in, want := range map[string]error{
		`{"choices":[{"delta":{"content":"b"}}]}`:                                      errDiffers,
		`{"choices":[{"delta":{"content":"a"},"finish_reason":"length"}]}`:             errShort,
		`{"choices":[{"delta":{"reasoning_content":"hm"}}]}`:                           nil,
		`{"choices":[{"delta":{"content":null}}],"usage":{"completion_tokens":1}}`:     nil,
		`{"choices":[],"prompt_filter_results":[]}`:                                    nil,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"x"}}]}}]}`: nil,
	} {
		s := *s
		if out, err := s.chunk(in); !errors.Is(err, want) || want == nil && out != "" && !strings.Contains(in, "tool_calls") {
			t.Errorf("%s: %s, %v", in, out, err)
		}
	}
}

func TestSeam_tells_a_function_call_on(t *testing.T) {
	client := told{role: true, begun: true}
	for _, chunk := range []string{`{"choices":[{"index":0,"delta":{"role":"assistant","function_call":{"name":"get","arguments":"{\"a"}}}]}`} {
		if kind, _ := client.note(&event{data: chunk}); kind != plain {
			t.Fatal("the call cannot be followed")
		}
	}
	s := newSeam(&client)
	got := ""
	for _, chunk := range []string{
		`{"choices":[{"index":0,"delta":{"function_call":{"name":"get","arguments":""}}}]}`,
		`{"choices":[{"index":0,"delta":{"function_call":{"arguments":"{\"a\":1"}}}]}`,
		`{"choices":[{"index":0,"delta":{"function_call":{"arguments":"}"}}}]}`,
	} {
		out, err := s.chunk(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if call := gjson.Get(out, "choices.0.delta.function_call"); call.Get("name").Exists() {
			t.Errorf("the name again: %s", out)
		} else {
			got += call.Get("arguments").String()
		}
	}
	if got != `":1}` {
		t.Errorf("rest %q", got)
	}
}

func TestRescue_remembers_what_another_part_told_before_it_joined(t *testing.T) {
	const pause = 20 * time.Millisecond // so that each event is read on its own
	bare := func(delta, finish string) string {
		return data(`{"choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`)
	}
	text := func(content string) string {
		return bare(`{"role":"assistant","content":"`+content+`"}`, "null")
	}
	arguments := func(piece string) string {
		return bare(`{"tool_calls":[{"index":0,"function":{"arguments":"`+piece+`"}}]}`, "null")
	}
	named := bare(`{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]}`, "null")
	up := newFake(t, events(text("Hello"), named, arguments("{a"), errCut))
	more := bare(`{"content":" world"}`, "null")
	second := newFake(t, events(text("Hello"), pause, more, pause, named, pause, arguments("{a"), pause, arguments("b"), errCut))
	third := newFake(t, events(text("Hello world"), named, arguments("{ab}"), bare(`{}`, `"tool_calls"`), data("[DONE]")))
	_, body, answer := rescuing(t, up.URL, second.URL, third.URL).call(t, asking(question))
	if got := readReply(t, body); got.text != "Hello world" || got.arguments[0] != "{ab}" || answer.Attempts != 3 {
		t.Errorf("%d attempts: %q, %v", answer.Attempts, got.text, got.arguments)
	}
}
