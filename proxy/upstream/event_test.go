package upstream

import (
	"strings"
	"testing"
)

const (
	role  = `{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]}`
	hello = `{"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}`
)

func TestEvent_is_judged_by_what_a_client_would_miss(t *testing.T) {
	for data, want := range map[string]finding{
		role:                             {kind: quiet},
		`{"choices":[]}`:                 {kind: quiet},
		`{"choices":[],"usage":null}`:    {kind: quiet},
		`{"choices":[{"delta":{}}]}`:     {kind: quiet},
		`{"choices":[{"delta":null}]}`:   {kind: quiet},
		`{"choices":[{"text":""}]}`:      {kind: quiet},
		hello:                            {kind: spoken},
		`{"choices":[{"text":"hello"}]}`: {kind: spoken},
		`{"choices":[{"delta":{"role":"assistant","tool_calls":[{"index":0}]}}]}`: {kind: spoken},
		`{"choices":[{"delta":{"reasoning_content":"hm"}}]}`:                      {kind: spoken},
		`{"choices":[{"delta":{"content":null,"refusal":"no"}}]}`:                 {kind: spoken},
		`{"choices":[{"delta":{},"finish_reason":"stop"}]}`:                       {kind: spoken},
		`{"choices":[{"delta":{}},{"index":1,"delta":{"content":"x"}}]}`:          {kind: spoken},
		`{"type":"response.output_text.delta","delta":"x"}`:                       {kind: spoken},
		`[DONE]`:                              {kind: spoken},
		`{"choices":[{`:                       {kind: spoken},
		`{"error":{"code":"server_error"}}`:   {kind: failed, fault: "server_error"},
		`{"error":"overloaded"}`:              {kind: failed},
		`{"error":null,"choices":[]}`:         {kind: quiet},
		`{"error":{"code":"content_filter"}}`: {kind: spoken},
		`{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}`: {kind: spoken},
	} {
		if got := judge("", []byte(data)); got != want {
			t.Errorf("%s: %+v, want %+v", data, got, want)
		}
	}
	if got := judge("error", []byte(`{"message":"x"}`)); got.kind != failed {
		t.Errorf("an event named error: %+v", got)
	}
}

func TestEventScanner_finds_the_same_wherever_the_stream_is_cut(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		stream := strings.ReplaceAll(": comment\n\nevent: chunk\ndata: "+role+"\n\ndata: {\"choices\":\ndata:[]}\n\n\n\ndata: "+hello+"\n\ndata: {\"error\":{}}\n\n", "\n", end)
		for cut := range stream {
			var s eventScanner
			s.scan([]byte(stream[:cut]))
			if s.found.kind == failed || s.at > cut {
				t.Fatalf("%q cut at %d: %+v", end, cut, s)
			}
			s.scan([]byte(stream))
			if s.found.kind != spoken || s.events != 3 {
				t.Fatalf("%q cut at %d: %+v after %d events", end, cut, s.found, s.events)
			}
		}
	}
}

func FuzzEventScanner(f *testing.F) {
	f.Add("data: "+role+"\n\ndata: "+hello+"\n\n", 7)
	f.Add("event: error\r\ndata: {}\r\n\r\n", 3)
	f.Fuzz(func(t *testing.T, stream string, cut int) {
		if cut < 0 || cut > len(stream) {
			return
		}
		var whole, parts eventScanner
		whole.scan([]byte(stream))
		parts.scan([]byte(stream[:cut]))
		parts.scan([]byte(stream))
		if whole.found != parts.found || whole.events != parts.events {
			t.Errorf("%q: %+v, cut at %d %+v", stream, whole, cut, parts)
		}
	})
}
