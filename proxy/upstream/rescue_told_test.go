package upstream

import (
	"strings"
	"testing"
)

func TestTold_remembers_what_a_client_was_told(t *testing.T) {
	var client told
	for _, data := range []string{
		`{"id":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}`,
		`{"id":"a","created":7,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}`,
		`{"id":"b","choices":[{"index":0,"delta":{"content":"x\n","reasoning":"hm"}}]}`,
		`{"choices":[{"delta":{"content":"\ud83d"}}]}`,
		`{"choices":[{"delta":{"content":"\ude00","refusal":"no"}}]}`,
		`{"choices":[{"delta":{"tool_calls":[{"index":2,"function":{"name":"f","arguments":"{"}},{"index":2,"function":{"name":"f","arguments":"}"}}]}}]}`,
		`{"choices`,
		`{"choices":[{"delta":{},"finish_reason":"stop"}],"error":null}`,
		`[DONE]`,
	} {
		if kind, _ := client.note(&event{data: data}); kind != plain {
			t.Errorf("%s: %v", data, kind)
		}
	}
	if client.id != `"a"` || client.created != "7" || client.model != `"m"` || !client.role || !client.finished || !client.done {
		t.Errorf("%+v", client)
	}
	if out := client.output(); out != "x\n\U0001F600nof{}" {
		t.Errorf("output %q", out)
	}
}

func TestTold_tells_what_nobody_can_go_on_with(t *testing.T) {
	for data, want := range map[string]sense{
		`{"choices":[{"index":1,"delta":{"content":"x"}}]}`:                                 strange,
		`{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{}}]}`:                       strange,
		`{"choices":[{"delta":{"content":[{"type":"text"}]}}]}`:                             strange,
		`{"choices":[{"delta":{"content":[]}}]}`:                                            plain,
		`{"choices":[{"delta":{"audio":{"data":"x"}}}]}`:                                    strange,
		`{"choices":[{"delta":{"audio":null,"function_call":null}}]}`:                       plain,
		`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"x"}}]}}]}`:                strange,
		`{"choices":[{"delta":{"tool_calls":[{"index":0,"custom":{"name":"x"}}]}}]}`:        strange,
		`{"choices":[{"delta":{"content":"` + strings.Repeat("x", maxTold) + `"}}]}`:        plain,
		`{"choices":[{"delta":{"content":"` + strings.Repeat("x", maxTold+1) + `"}}]}`:      strange,
		`{"error":{"message":"overloaded"},"choices":[{"index":0,"delta":{"content":""}}]}`: failing,
		`{"error":{"code":"content_filter"}}`:                                               strange,
		`{"error":{"code":"rate_limit_exceeded"}}`:                                          failing,
	} {
		var client told
		if kind, _ := client.note(&event{data: data}); kind != want {
			t.Errorf("%.80s: %v, want %v", data, kind, want)
		}
	}
	var client told
	if kind, _ := client.note(&event{data: `{"message":"x"}`, named: true}); kind != failing {
		t.Errorf("a named event: %v", kind)
	}
}

func TestTold_takes_note_without_allocating(t *testing.T) {
	raw := []byte(counting.chunk(`{"content":"a word"}`, "null"))
	client := told{text: make([]byte, 0, 1<<20)}
	e := readEvent(raw)
	client.note(&e)
	if n := testing.AllocsPerRun(100, func() {
		var f framer
		if f.next(raw) != len(raw) {
			t.Error("the event is not whole")
		}
		e := readEvent(raw)
		client.note(&e)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
