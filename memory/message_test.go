package memory

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func parse(t testing.TB, raw string) Message {
	t.Helper()
	m, err := ParseMessage(raw)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return m
}

func TestParseMessage_keeps_the_bytes_and_reads_what_composing_needs(t *testing.T) {
	raw := `{ "role" : "assistant","content":null, "x":12345678901234567890,
		"tool_calls":[{"id":"call_1","function":{"arguments":"{\"id\":\"no\"}"}},{"index":1,"id":"call_2"}]}`
	m := parse(t, " \n"+raw)
	if m.Raw != raw {
		t.Errorf("kept %q", m.Raw)
	}
	if m.Role != RoleAssistant || !slices.Equal(m.Calls, []string{"call_1", "call_2"}) || m.CallID != "" || m.Tokens != 0 {
		t.Errorf("read %+v", m)
	}
	m = parse(t, `{"\u0072ole":"to\u006fl","tool_call_id":"call_\u0031","content":"42"}`)
	if m.Role != RoleTool || m.CallID != "call_1" {
		t.Errorf("escapes read as %+v", m)
	}
}

func TestParseMessage_of_an_assistant_without_calls_has_none(t *testing.T) {
	for _, calls := range []string{`null`, `[]`, `""`, `{}`, `0`} {
		if m := parse(t, `{"role":"assistant","content":"hi","tool_calls":`+calls+`}`); len(m.Calls) != 0 {
			t.Errorf("tool_calls %s read as %q", calls, m.Calls)
		}
	}
}

func TestParseMessage_refuses_what_is_no_message(t *testing.T) {
	for _, raw := range []string{``, `null`, `"user"`, `[]`, `5`, `{}`, `{"content":"hi"}`, `{"role":null}`, `{"role":1}`, `{"role":{"role":"user"}}`, `{"role":"user","role":7}`} {
		if m, err := ParseMessage(raw); !errors.Is(err, ErrMessage) {
			t.Errorf("%s read as %+v, %v", raw, m, err)
		}
	}
}

func TestHash_is_equal_for_messages_that_mean_the_same(t *testing.T) {
	tests := []struct {
		name string
		same []string
	}{
		{"spelling", []string{
			`{"role":"user","content":"hé"}`,
			`{"content" : "h\u00e9", "role":"user"}`,
			`{"role":"user","content":"hé","name":"bob"}`,
		}},
		{"text parts", []string{
			`{"role":"user","content":"one two"}`,
			`{"role":"user","content":[{"type":"text","text":"one two"}]}`,
			`{"role":"user","content":[{"text":"one ","type":"text"},{"type":"text","text":"two"}]}`,
		}},
		{"no text", []string{
			`{"role":"assistant","tool_calls":[{"id":"x"}]}`,
			`{"role":"assistant","content":null,"tool_calls":[{"id":"x","function":{"name":"f"}}]}`,
			`{"role":"assistant","content":"","tool_calls":[{"id":"x"}],"refusal":null}`,
			`{"role":"assistant","content":[],"tool_calls":[{"id":"x"}]}`,
		}},
		{"calls", []string{
			`{"role":"assistant","content":"a"}`,
			`{"role":"assistant","content":"a","tool_calls":null}`,
			`{"role":"assistant","content":"a","tool_calls":[]}`,
		}},
		{"results", []string{
			`{"role":"tool","tool_call_id":"x","content":"1"}`,
			`{"role":"tool","tool_call_id":"x","content":[{"type":"text","text":"1"}]}`,
		}},
		{"images", []string{
			`{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}`,
			`{"role":"user","content":[ {"type":"image_url", "image_url": {"url":"\u0075"}} ]}`,
		}},
	}
	for _, test := range tests {
		for _, raw := range test.same[1:] {
			if parse(t, raw).Hash != parse(t, test.same[0]).Hash {
				t.Errorf("%s: %s differs from %s", test.name, raw, test.same[0])
			}
		}
	}
}

func TestHash_differs_for_messages_that_do_not_mean_the_same(t *testing.T) {
	all := []string{
		`{"role":"user","content":"1"}`,
		`{"role":"user","content":"2"}`,
		`{"role":"user","content":"1 "}`,
		`{"role":"user"}`,
		`{"role":"assistant","content":"1"}`,
		`{"role":"tool","content":"1"}`,
		`{"role":"tool","content":"1","tool_call_id":"x"}`,
		`{"role":"tool","content":"1","tool_call_id":"y"}`,
		`{"role":"tool","content":"1x"}`,
		`{"role":"assistant","tool_calls":[{"id":"x"}]}`,
		`{"role":"assistant","tool_calls":[{"id":"y"}]}`,
		`{"role":"assistant","tool_calls":[{"id":"x"},{"id":"y"}]}`,
		`{"role":"assistant","tool_calls":[{"id":"y"},{"id":"x"}]}`,
		`{"role":"assistant","tool_calls":[{"id":"xy"}]}`,
		`{"role":"user","content":[{"type":"image_url","image_url":{"url":"a"}}]}`,
		`{"role":"user","content":[{"type":"image_url","image_url":{"url":"b"}}]}`,
		`{"role":"user","content":[{"type":"image_url","image_url":{"url":"a","detail":"low"}}]}`,
		`{"role":"user","content":[{"type":"text","text":"1"},{"type":"image_url","image_url":{"url":"a"}}]}`,
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if parse(t, a).Hash == parse(t, b).Hash {
				t.Errorf("%s equals %s", a, b)
			}
		}
	}
}

func TestHash_of_content_that_is_very_deep(t *testing.T) {
	const depth = 1_000_000
	deep := func(leaf string) string {
		return `{"role":"user","content":[{"type":"x","x":` + strings.Repeat("[", depth) + leaf + strings.Repeat("]", depth) + `}]}`
	}
	if parse(t, deep("1")).Hash == parse(t, deep("2")).Hash {
		t.Error("two contents that differ far inside have one hash")
	}
}

func TestMessage_bound_is_the_count_or_more_than_any_count(t *testing.T) {
	m := parse(t, `{"role":"user","content":"hello"}`)
	if got := m.Bound(); got <= len(m.Raw) {
		t.Errorf("uncounted: %d for %d bytes and markup", got, len(m.Raw))
	}
	m.Tokens = 8
	if got := m.Bound(); got != 8 {
		t.Errorf("counted: %d, want 8", got)
	}
}

func TestMessage_instructions_are_system_and_developer_messages(t *testing.T) {
	for role, want := range map[string]bool{RoleSystem: true, RoleDeveloper: true, RoleUser: false, RoleAssistant: false, RoleTool: false, "function": false} {
		if m := (Message{Role: role}); m.IsSystem() != want {
			t.Errorf("%s: %v, want %v", role, m.IsSystem(), want)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(`{"role":"user","content":"hi"}`)
	f.Add(`{"role":"assistant","content":[{"type":"text","text":"a"},1,null,[{}]],"tool_calls":[{"id":"x"},null,3]}`)
	f.Add(` {"role":"tool","tool_call_id":"\ud800","content":{"a":[1e9]}} `)
	f.Fuzz(func(t *testing.T, raw string) {
		if !gjson.Valid(raw) {
			return
		}
		m, err := ParseMessage(raw)
		if err != nil {
			return
		}
		if strings.TrimSpace(m.Raw) != strings.Trim(raw, " \t\r\n") {
			t.Fatalf("kept %q of %q", m.Raw, raw)
		}
		again := parse(t, m.Raw)
		if again.Hash != m.Hash || again.Role != m.Role || !slices.Equal(again.Calls, m.Calls) {
			t.Fatalf("read once %+v, then %+v", m, again)
		}
	})
}

func BenchmarkParseMessage(b *testing.B) {
	raw := `{"role":"user","content":"` + strings.Repeat("what is it? ", 80) + `"}`
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
}
