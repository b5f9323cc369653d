package tokens

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCountMessage_adds_text_and_published_markup(t *testing.T) {
	e := For("gpt-4")
	// OpenAI's cookbook gives 129 prompt tokens for these on gpt-4.
	messages := []string{
		`{"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."}`,
		`{"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."}`,
		`{"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."}`,
		`{"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."}`,
		`{"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."}`,
		`{"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}`,
	}
	n := ReplyPriming
	for _, message := range messages {
		n += e.CountMessage(message)
	}
	if n != 129 {
		t.Errorf("%d tokens, not 129", n)
	}
}

func TestCountMessage_counts_each_member(t *testing.T) {
	e := For("gpt-4o")
	count := e.Count
	long := strings.Repeat("a word ", 50)
	for name, tt := range map[string]struct {
		raw  string
		want int
	}{
		"text":             {`{"role":"user","content":"hi there"}`, 3 + 1 + count("hi there")},
		"escapes":          {`{"role":"user","content":"caf\u00e9\n\"x\""}`, 3 + 1 + count("café\n\"x\"")},
		"text parts":       {`{"role":"user","content":[{"type":"text","text":"hi"},{"type":"text","text":" there"}]}`, 3 + 1 + count("hi") + count(" there")},
		"cached part":      {`{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}`, 3 + 1 + count("hi")},
		"string part":      {`{"role":"user","content":["hi"]}`, 3 + 1 + count("hi")},
		"name":             {`{"role":"user","name":"Ada","content":"hi"}`, 3 + 1 + 1 + count("Ada") + count("hi")},
		"refusal":          {`{"role":"assistant","content":null,"refusal":"I must not."}`, 3 + 1 + count("I must not.")},
		"refusal part":     {`{"role":"assistant","content":[{"type":"refusal","refusal":"No."}]}`, 3 + 1 + count("No.")},
		"tool result":      {`{"role":"tool","tool_call_id":"call_1","content":"4"}`, 3 + 1 + count("call_1") + count("4")},
		"tool call":        {`{"role":"assistant","content":null,"tool_calls":[{"id":"call_abcdefghijkl","type":"function","function":{"name":"add","arguments":"{\"a\":2}"}}]}`, 3 + 1 + perCall + count("add") + count(`{"a":2}`)},
		"two tool calls":   {`{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]}`, 3 + 1 + 2*perCall + count("f") + count("g") + 2*count("{}")},
		"arguments object": {`{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}`, 3 + 1 + perCall + count("f") + count(`{"a":1}`)},
		"custom call":      {`{"role":"assistant","tool_calls":[{"id":"1","type":"custom","custom":{"name":"sh","input":"ls -l"}}]}`, 3 + 1 + perCall + count("sh") + count("ls -l")},
		"odd call":         {`{"role":"assistant","tool_calls":["f"]}`, 3 + 1 + count("f")},
		"legacy call":      {`{"role":"assistant","content":"","function_call":{"name":"f","arguments":"{}"}}`, 3 + 1 + perCall + count("f") + count("{}")},
		"nulls":            {`{"role":"assistant","content":"ok","refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":null,"x":{}}`, 3 + 1 + count("ok")},
		"unknown text":     {`{"role":"assistant","content":"ok","reasoning_content":"` + long + `"}`, 3 + 1 + count("ok") + count(long)},
		"unknown object":   {`{"role":"assistant","content":"ok","x":{"y":["` + long + `",12]}}`, 3 + 1 + count("ok") + count(`{"y":["`+long+`",12]}`)},
		"unknown part":     {`{"role":"user","content":[{"type":"video_url","video_url":"` + long + `"}]}`, 3 + 1 + count(long)},
		"no object":        {`"just text"`, 3 + count(`"just text"`)},
		"nothing":          {``, 3},
	} {
		if got := e.CountMessage(tt.raw); got != tt.want {
			t.Errorf("%s: %d tokens, not %d, in %s", name, got, tt.want, tt.raw)
		}
	}
}

func TestCountMessage_estimates_media_instead_of_counting_base64(t *testing.T) {
	e := For("gpt-4o")
	data := strings.Repeat("QUJD", 50_000) // 150 kB
	for name, tt := range map[string]struct {
		part string
		want int
	}{
		"audio":          {`{"type":"input_audio","input_audio":{"format":"mp3","data":"` + data + `"}}`, 375},
		"file":           {`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,` + data + `"}}`, e.Count("a.pdf") + 3*pageTokens},
		"bare file":      {`{"type":"file","file":{"file_data":"` + data + `"}}`, 3 * pageTokens},
		"file by id":     {`{"type":"file","file":{"file_id":"file-123"}}`, pageTokens},
		"image":          {`{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}`, 1105},
		"image, bare":    {`{"type":"image_url","image_url":"https://example.com/x.png"}`, 1105},
		"image, low":     {`{"type":"image_url","image_url":{"url":"https://example.com/x.png","detail":"low"}}`, 85},
		"image, damaged": {`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + data + `"}}`, 1105},
	} {
		if got := e.CountMessage(`{"role":"user","content":[` + tt.part + `]}`); got != 3+1+tt.want {
			t.Errorf("%s: %d tokens, not %d", name, got-4, tt.want)
		}
	}
}

func TestCountMessage_of_deeply_nested_JSON_ends(t *testing.T) {
	e := For("gpt-4o")
	deep := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)
	for _, raw := range []string{
		`{"role":"user","content":` + deep + `}`,
		`{"role":"user","x":` + deep + `}`,
		`{"role":"assistant","tool_calls":` + deep + `}`,
	} {
		if n := e.CountMessage(raw); n < 1000 {
			t.Errorf("%d tokens in %.40s…", n, raw)
		}
	}
}

func TestCountTools_is_above_what_is_rendered(t *testing.T) {
	e := For("gpt-4o")
	tools := `[{"type": "function", "function": {
		"name": "get_weather", "description": "Get the weather of a city",
		"parameters": {"type": "object", "properties": {
			"city": {"type": "string", "description": "The city, e.g. Paris"},
			"unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
		"required": ["city"]}}}]`
	rendered := `# Tools

## functions

namespace functions {

// Get the weather of a city
type get_weather = (_: {
// The city, e.g. Paris
city: string,
unit?: "celsius" | "fahrenheit",
}) => any;

} // namespace functions`
	n := e.CountTools(tools)
	if least, most := e.Count(rendered), e.Count(tools)+perTools; n < least || n >= most {
		t.Errorf("%d tokens, not in [%d, %d)", n, least, most)
	}
	small := `[{"type":"function","function":{"name":"f"}}]`
	if n, least := e.CountTools(small), e.Count("# Tools\n\n## functions\n\nnamespace functions {\n\ntype f = () => any;\n\n} // namespace functions"); n < least {
		t.Errorf("%d tokens, not at least %d", n, least)
	}
	if n := e.CountTools("{broken"); n < perTools {
		t.Errorf("%d tokens for what is no JSON", n)
	}
	for _, nothing := range []string{"", "null", "[]", "{}", " [ ] "} {
		if n := e.CountTools(nothing); n != 0 {
			t.Errorf("%d tokens for %q", n, nothing)
		}
	}
}

func TestCountMessage_counts_recorded_conversations_above_their_text(t *testing.T) {
	raw := shared(t, "tau_bench_gpt-4o-airline.json")
	var conversations []struct {
		Traj []json.RawMessage `json:"traj"`
	}
	if err := json.Unmarshal(raw, &conversations); err != nil {
		t.Fatal(err)
	}
	e := For("gpt-4o")
	messages := 0
	for _, c := range conversations {
		for _, m := range c.Traj {
			var message struct{ Content string }
			if err := json.Unmarshal(m, &message); err != nil {
				t.Fatal(err)
			}
			messages++
			n, text := e.CountMessage(string(m)), e.Count(message.Content)
			if n < perMessage+1+text || n > len(m) {
				t.Fatalf("%d tokens, %d in the text of %s", n, text, m)
			}
		}
	}
	if messages == 0 {
		t.Error("no messages were read")
	}
}
