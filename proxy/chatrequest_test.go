package proxy

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

func mustParse(t testing.TB, body string) *chatRequest {
	t.Helper()
	r, err := parseChat(body, DefaultDepthLimit)
	if err != nil {
		t.Fatalf("parseChat(%s): %v", body, err)
	}
	return r
}

func mustMessage(t testing.TB, raw string) *memory.Message {
	t.Helper()
	m, err := memory.ParseMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestParseChat_reads_what_memory_needs(t *testing.T) {
	r := mustParse(t, ` {"model":"gpt-4o","mess\u0061ges":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"developer","content":"d"}],`+
		`"stream":true,"max_completion_tokens":77,"tools":[{"type":"function"}],"response_format":{"type":"text"}} `)
	if r.model != "gpt-4o" || !r.stream || r.size.tokens != 77 {
		t.Errorf("request = %+v", r)
	}
	if len(r.incoming.System) != 2 || len(r.incoming.Messages) != 1 || len(r.incoming.Fixed) != 2 {
		t.Errorf("incoming = %+v", r.incoming)
	}
	if got := r.body[r.messages.from:r.messages.to]; !strings.HasPrefix(got, `[{"role":"system"`) || !strings.HasSuffix(got, `"d"}]`) {
		t.Errorf("span of messages = %s", got)
	}
}

func TestParseChat_refuses_what_is_no_chat_request(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for body, code := range map[string]string{
		``:                    "invalid_json",
		`hello`:               "invalid_json",
		`[]`:                  "invalid_json",
		`{"messages":[}`:      "invalid_json",
		`{"model":"x"}`:       "missing_messages",
		`{"messages":[]}`:     "missing_messages",
		`{"messages":{}}`:     "invalid_messages",
		`{"messages":null}`:   "invalid_messages",
		`{"messages":["hi"]}`: "invalid_message",
		`{"messages":[{}]}`:   "invalid_message",
		`{"messages":` + deep: "body_too_deep",
		`{"a":` + deep + `}`:  "body_too_deep",
		`{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}`: "duplicate_messages",
	} {
		_, err := parseChat(body, DefaultDepthLimit)
		var e *apierror.Error
		if !errors.As(err, &e) || e.Code != code || e.Status != 400 {
			t.Errorf("parseChat(%.40s) = %v, want 400 %s", body, err, code)
		}
	}
}

func TestNesting_counts_brackets_outside_strings_only(t *testing.T) {
	for body, want := range map[string]int{
		`1`: 0, `[]`: 1, `{"a":[{}]}`: 3, `["[[[[", "\"[[", {}]`: 2, `["\\",[]]`: 2, `]]][[`: 0,
	} {
		if got := nesting(body, 100); got != want {
			t.Errorf("nesting(%s) = %d, want %d", body, got, want)
		}
	}
	if got := nesting(strings.Repeat("[", 1000), 10); got != 11 {
		t.Errorf("nesting stopped at %d, want one above the limit", got)
	}
}

func TestUpstreamBody_asks_for_usage_and_keeps_the_rest(t *testing.T) {
	const messages = `"messages":[{"role":"user","content":"u"}]`
	for in, want := range map[string]string{
		`{` + messages + `,"stream":true}`:                                                      `{` + messages + `,"stream":true,"stream_options":{"include_usage":true}}`,
		`{"stream":true,"stream_options":{},` + messages + `}`:                                  `{"stream":true,"stream_options":{"include_usage":true},` + messages + `}`,
		`{"stream":true,"stream_options":null,` + messages + `}`:                                `{"stream":true,"stream_options":{"include_usage":true},` + messages + `}`,
		`{"stream":true,` + messages + `,"stream_options": { "x" : 1e2 } }`:                     `{"stream":true,` + messages + `,"stream_options": {"include_usage":true, "x" : 1e2 } }`,
		`{"stream":true,` + messages + `,"stream_options":{"a":1,"include_usage":false,"b":2}}`: `{"stream":true,` + messages + `,"stream_options":{"a":1,"include_usage":true,"b":2}}`,
	} {
		r := mustParse(t, in)
		if !r.mayAskUsage() {
			t.Errorf("%s: usage would not be asked for", in)
		}
		if got := r.upstreamBody(nil, true); got != want {
			t.Errorf("body = %s\nwant   %s", got, want)
		}
	}
}

func TestUpstreamBody_adds_nothing_where_usage_is_not_to_be_asked_for(t *testing.T) {
	for _, in := range []string{
		`{"messages":[{"role":"user","content":"u"}]}`,
		`{"messages":[{"role":"user","content":"u"}],"stream":false}`,
		`{"messages":[{"role":"user","content":"u"}],"stream":true,"stream_options":{"include_usage":true}}`,
		`{"messages":[{"role":"user","content":"u"}],"stream":true,"stream_options":"odd"}`,
	} {
		r := mustParse(t, in)
		if r.mayAskUsage() {
			t.Errorf("%s: usage would be asked for", in)
		}
		if got := r.upstreamBody(nil, false); got != in {
			t.Errorf("body = %s, want it unchanged", got)
		}
	}
}

func TestUpstreamBody_puts_the_prompt_in_place_of_messages(t *testing.T) {
	r := mustParse(t, `{"n":12345678901234567890,"stream":true,"messages" : [ {"role":"user","content":"u"} ] ,"t":0.70,"e":1E+2,"z":null}`)
	prompt := &memory.Prompt{
		System:  []memory.Message{*mustMessage(t, `{"role":"system","content":"s"}`)},
		History: []*memory.Message{mustMessage(t, `{"role":"user", "content":"h","x":{"y":[1.0]}}`)},
		New:     r.incoming.Messages,
	}
	want := `{"n":12345678901234567890,"stream":true,"messages" : [{"role":"system","content":"s"},{"role":"user", "content":"h","x":{"y":[1.0]}},{"role":"user","content":"u"}] ,"t":0.70,"e":1E+2,"z":null,"stream_options":{"include_usage":true}}`
	if got := r.upstreamBody(prompt, true); got != want {
		t.Errorf("body = %s\nwant   %s", got, want)
	}
}

// FuzzUpstreamBody splices into arbitrary valid requests: every member outside
// messages and stream_options must keep its literal, in its order.
func FuzzUpstreamBody(f *testing.F) {
	for _, seed := range []string{
		`{"messages":[{"role":"user","content":"u"}]}`,
		`{"stream":true,"a":1E+2,"messages":[{"role":"user","content":"u","z":0.70}],"b":[null,12345678901234567890]}`,
		`{"stream":true,"stream_options":{"include_usage":false,"k":"\u0000"},"messages":[{"role":"user"}]}`,
		`{"stream_options":{"include_usage":false},"stream":true,"messages":[{"role":"user"}]  ,  "stream_options":{}}`,
		` { "\u006dessages" : [{"role":"system","content":[]},{"role":"tool"}] } `,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r, err := parseChat(body, 64)
		if err != nil {
			return
		}
		prompt := &memory.Prompt{System: r.incoming.System, New: r.incoming.Messages,
			History: []*memory.Message{mustMessage(t, `{"role":"user","content":"\"}],stored"}`)}}
		out := r.upstreamBody(prompt, r.mayAskUsage())
		if !gjson.Valid(out) {
			t.Fatalf("spliced body is no JSON: %s", out)
		}
		if got, want := literals(out), literals(body); got != want {
			t.Fatalf("members are now %s\nwant %s", got, want)
		}
		var messages []string
		gjson.Parse(out).ForEach(func(key, value gjson.Result) bool {
			if key.String() == "messages" {
				value.ForEach(func(_, m gjson.Result) bool { messages = append(messages, m.Raw); return true })
			}
			return true
		})
		if want := len(r.incoming.System) + len(r.incoming.Messages) + 1; len(messages) != want {
			t.Fatalf("%d messages, want %d", len(messages), want)
		}
	})
}

func literals(body string) string {
	var b strings.Builder
	gjson.Parse(body).ForEach(func(key, value gjson.Result) bool {
		if k := key.String(); k != "messages" && k != "stream_options" {
			b.WriteString(key.Raw + ":" + value.Raw + ",")
		}
		return true
	})
	return b.String()
}
