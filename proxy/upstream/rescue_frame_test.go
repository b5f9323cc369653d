package upstream

import (
	"strings"
	"testing"
)

// frames cuts a stream that comes in pieces.
func frames(pieces ...string) (whole []string, rest string) {
	var f framer
	var buf []byte
	start := 0
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for end := f.next(buf); end >= 0; end = f.next(buf) {
			whole = append(whole, string(buf[start:end]))
			start = end
		}
		buf = buf[:copy(buf, buf[start:])]
		f.shift(start)
		start = 0
	}
	return whole, string(buf)
}

func TestFramer_finds_events_wherever_the_stream_is_cut(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		lines := []string{"data: a", "", ": comment", "event: x", ": inside", "data: b", "data", "", "", "data: c", "", "da"}
		stream := strings.Join(lines, end)
		want := []string{"data: a||", ": comment|", "event: x|: inside|data: b|data||", "|", "data: c||"}
		for cut := range stream {
			whole, rest := frames(stream[:cut], stream[cut:])
			got := strings.Join(whole, "")
			if got+rest != stream {
				t.Fatalf("%q cut at %d: %q and %q", end, cut, whole, rest)
			}
			if end == "\n" && strings.ReplaceAll(strings.Join(whole, "+"), "\n", "|") != strings.Join(want, "+") {
				t.Fatalf("cut at %d: %q", cut, whole)
			}
			if strings.TrimLeft(rest, "\n") != "da" {
				t.Fatalf("%q cut at %d: %q is left", end, cut, rest)
			}
		}
	}
}

func TestFramer_passes_comments_that_no_event_waits_for(t *testing.T) {
	whole, rest := frames(": a\n", ": b", "\n: c\ndata: x\n: d\n")
	if strings.Join(whole, "+") != ": a\n+: b\n+: c\n" || rest != "data: x\n: d\n" {
		t.Errorf("%q and %q", whole, rest)
	}
}

func TestEvent_is_read_and_written_with_other_data(t *testing.T) {
	for raw, want := range map[string]struct {
		data, with string
		named      bool
	}{
		"data: x\n\n":                          {"x", "data: y\n\n", false},
		"data:x\r\n\r\n":                       {"x", "data:y\r\n\r\n", false},
		"id: 1\rdata: x\revent: e\r\r":         {"x", "id: 1\rdata: y\revent: e\r\r", false},
		"data: {\ndata: }\n\n":                 {"{\n}", "data: y\n\n", false},
		"event: error\ndata: x\n\n":            {"x", "event: error\ndata: y\n\n", true},
		"data: x":                              {"x", "data: y", false},
		": data: x\n\n":                        {"", "", false},
		"database: x\n\n":                      {"", "", false},
		"data: [DONE]\n\n":                     {"[DONE]", "data: y\n\n", false},
		"data: a\nevent: e\ndata:b\nid: 2\n\n": {"a\nb", "data: y\nid: 2\n\n", false},
	} {
		e := readEvent([]byte(raw))
		if e.data != want.data || e.named != want.named || e.done() != (want.data == "[DONE]") {
			t.Errorf("%q: %+v", raw, e)
		}
		if got := string(e.with(nil, "y")); want.data != "" && got != want.with {
			t.Errorf("%q: %q", raw, got)
		}
	}
}

func FuzzFramer(f *testing.F) {
	f.Add("data: a\r\n\r\n: c\n\ndata: b\r\r", 7)
	f.Fuzz(func(t *testing.T, stream string, cut int) {
		if cut < 0 || cut > len(stream) {
			return
		}
		one, left := frames(stream)
		two, rest := frames(stream[:cut], stream[cut:])
		if strings.Join(one, "")+left != stream || strings.Join(two, "")+rest != stream {
			t.Errorf("%q cut at %d: %q %q", stream, cut, two, rest)
		}
		for i := range one { // but for a line feed that goes with what follows
			if i < len(two) && len(one) == len(two) && one[i] != two[i] {
				t.Errorf("%q cut at %d: %q, whole %q", stream, cut, two, one)
			}
		}
	})
}
