package telemetry

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const conversation = `{"model":"gpt-4o","messages":[
	{"role":"system","content":"Be brief."},
	{"role":"developer","content":[{"type":"text","text":"Use metric units."}]},
	{"role":"user","name":"jo","content":[{"type":"text","text":"Weather in Paris?"},
		{"type":"image_url","image_url":{"url":"https://example.com/p.png"}},
		{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
		{"type":"input_audio","input_audio":{"data":"BBBB","format":"wav"}},
		{"type":"hologram","data":"CCCC"}]},
	{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Paris\",\"days\":[1,2.50]}"}}]},
	{"role":"tool","tool_call_id":"call_1","content":"rainy, 57°F"},
	{"role":"assistant","function_call":{"name":"old","arguments":"{broken"}},
	{"role":"user","content":"Thanks"}]}`

func captureWith(o Options, call *ChatCall) map[string]string {
	o.Content = true
	c := newContent(&o)
	got := make(map[string]string)
	for _, a := range c.capture(call) {
		got[string(a.Key)] = a.Value.String()
	}
	return got
}

func TestCapture_writes_the_form_of_the_conventions(t *testing.T) {
	got := captureWith(Options{}, &ChatCall{Body: conversation, FinishReasons: []string{"stop"}, Output: []string{
		`{"role":"assistant","content":"It rains.","reasoning_content":"Rain is rain.","refusal":null}`,
		`{"role":"assistant","content":null,"refusal":"No."}`,
	}})
	for name, want := range map[string]string{
		"gen_ai.system_instructions": `[{"type":"text","content":"Be brief."},{"type":"text","content":"Use metric units."}]`,
		"gen_ai.input.messages": `[{"role":"user","name":"jo","parts":[{"type":"text","content":"Weather in Paris?"},` +
			`{"type":"uri","modality":"image","uri":"https://example.com/p.png"},{"type":"blob","modality":"image","content":""},` +
			`{"type":"blob","modality":"audio","content":""},{"type":"hologram","content":""}]},` +
			`{"role":"assistant","parts":[{"type":"tool_call","id":"call_1","name":"get_weather","arguments":{"city":"Paris","days":[1,2.50]}}]},` +
			`{"role":"tool","parts":[{"type":"tool_call_response","id":"call_1","response":"rainy, 57°F"}]},` +
			`{"role":"assistant","parts":[{"type":"tool_call","id":"","name":"old","arguments":"{broken"}]},` +
			`{"role":"user","parts":[{"type":"text","content":"Thanks"}]}]`,
		"gen_ai.output.messages": `[{"role":"assistant","parts":[{"type":"text","content":"It rains."},{"type":"reasoning","content":"Rain is rain."}],"finish_reason":"stop"},` +
			`{"role":"assistant","parts":[{"type":"refusal","content":"No."}],"finish_reason":"error"}]`,
	} {
		if got[name] != want {
			t.Errorf("%s is\n%s, want\n%s", name, got[name], want)
		}
	}
	if got["mnemo.content.cut"] != "" {
		t.Error("something is said to be cut")
	}
}

func TestCapture_takes_secrets_out_before_it_cuts(t *testing.T) {
	secret := "sk-" + strings.Repeat("a1", 20)
	body := fmt.Sprintf(`{"messages":[
		{"role":"system","content":"key %[1]s"},
		{"role":"user","content":"%[2]s %[1]s and C-123456 %[3]s"},
		{"role":"assistant","tool_calls":[{"id":"%[1]s","function":{"name":"f","arguments":"{\"%[1]s\":\"\\n%[1]s\",\"mail\":\"jane@example.com\"}"}}]},
		{"role":"tool","tool_call_id":"x","content":[{"type":"text","text":"%[1]s"}]}]}`, secret, strings.Repeat("x", 300), strings.Repeat("y", 5000))
	for limit := 100; limit < 3000; limit += 7 {
		got := captureWith(Options{ContentLimit: limit, Redact: []*regexp.Regexp{regexp.MustCompile(`C-\d+`)}},
			&ChatCall{Body: body, Output: []string{`{"content":"` + secret + `"}`}})
		for name, text := range got {
			if strings.Contains(text, "a1a1") || strings.Contains(text, "jane") || strings.Contains(text, "C-1") {
				t.Fatalf("limit %d: %s is %s", limit, name, text)
			}
			if name != "mnemo.content.cut" && (len(text) > limit || !gjson.Valid(text)) {
				t.Fatalf("limit %d: %s has %d bytes: %s", limit, name, len(text), text)
			}
		}
		if got["mnemo.content.cut"] != "true" {
			t.Fatalf("limit %d: nothing is said to be cut", limit)
		}
	}
}

func TestCapture_leaves_out_what_is_too_long_to_clean(t *testing.T) {
	got := captureWith(Options{}, &ChatCall{Body: `{"messages":[{"role":"user","content":"` + strings.Repeat("x", maxRedacted+1) + `"}]}`})
	if want := `[{"role":"user","parts":[{"type":"text","content":"[too long]"}]}]`; got["gen_ai.input.messages"] != want {
		t.Errorf("got %.200s", got["gen_ai.input.messages"])
	}
}

func TestCapture_survives_any_nesting(t *testing.T) {
	deep := strings.Repeat(`[`, 50_000) + strings.Repeat(`]`, 50_000)
	got := captureWith(Options{}, &ChatCall{Body: `{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"` + deep + `"}}]}]}`})
	if text := got["gen_ai.input.messages"]; !gjson.Valid(text) || !strings.Contains(text, leftOut) {
		t.Errorf("got %.200s", text)
	}
}

func TestContentLimit_has_a_default_and_a_bound(t *testing.T) {
	for asked, want := range map[int]int{0: DefaultContentLimit, -1: DefaultContentLimit, 100: 100, 1 << 30: MaxContentLimit} {
		if got := newContent(&Options{ContentLimit: asked}); got.limit != want {
			t.Errorf("%d became %d", asked, got.limit)
		}
	}
}

func TestEndChat_captures_content_only_if_it_is_asked_to(t *testing.T) {
	for _, on := range []bool{false, true} {
		tel, _ := start(t, Options{Content: on})
		recorder := recordSpans(t, tel)
		call := answered()
		call.Body, call.Output = conversation, []string{`{"role":"assistant","content":"It rains."}`}
		_, span := tel.StartCall(t.Context(), call.RequestModel, Origin{})
		if got := tel.Captures(span); got != on {
			t.Errorf("content %v: captures %v", on, got)
		}
		tel.EndChat(span, call)
		attrs := attributesOf(recorder.Ended()[0])
		for _, name := range []string{"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"} {
			if _, ok := attrs[name]; ok != on {
				t.Errorf("content %v: %s %v", on, name, ok)
			}
		}
		if got := tel.Captures(nil); got {
			t.Error("a call without a span is captured")
		}
	}
}

func FuzzCapture_writes_bounded_JSON(f *testing.F) {
	f.Add(conversation, `{"role":"assistant","content":"x"}`, 300)
	f.Add(`{"messages":[{"role":"tool","content":[{"text":1}]},{"content":{}}]}`, `[]`, 10)
	f.Fuzz(func(t *testing.T, body, output string, limit int) {
		c := newContent(&Options{Content: true, ContentLimit: limit})
		for _, a := range c.capture(&ChatCall{Body: body, Output: []string{output}}) {
			if text := a.Value.String(); a.Key != contentCut && (len(text) > c.limit || !gjson.Valid(text)) {
				t.Fatalf("%s of %d bytes, limit %d: %q", a.Key, len(text), c.limit, text)
			}
		}
	})
}
