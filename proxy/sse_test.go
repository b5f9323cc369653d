package proxy

import (
	"bytes"
	"testing"
)

func TestEventEnd_finds_the_empty_line_in_every_line_end(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
	}{
		{"", -1},
		{"data: x", -1},
		{"data: x\n", -1},
		{"data: x\n\n", 9},
		{"data: x\r\n\r\n", 11},
		{"data: x\r\r", 9},
		{"data: x\r\n\n", 10},
		{"data: x\n\r\n", 10},
		{"data: x\n\rdata: y\n\n", 9},
		{"event: a\ndata: x\n\ndata: y\n\n", 18},
		{"\ndata: x\n\n", 1},
		{": ping\n\n", 8},
		{"data: a\nb", -1},
		{"data: a\r\n\r", 10}, // a CR at the end ends a line; an LF may follow
	} {
		if got, _ := eventEnd([]byte(c.in), 0); got != c.want {
			t.Errorf("eventEnd(%q) = %d, want %d", c.in, got, c.want)
		}
	}
}

func TestEventData_joins_data_lines_and_passes_other_fields_over(t *testing.T) {
	for in, want := range map[string]string{
		"data: x\n\n":                             "x",
		"data:x\n\n":                              "x",
		"data:  x\n\n":                            " x",
		"data: a\ndata: b\ndata: c\n\n":           "a\nb\nc",
		"event: e\r\nid: 1\r\ndata: {}\r\n\r\n":   "{}",
		": comment\ndata: x\r\r":                  "x",
		"data: no line end":                       "no line end",
		"database: x\n\n":                         "",
		": only a comment\n\n":                    "",
		"data: x\ndatax: y\ndata\n\n":             "x",
		"retry: 10\ndata: [DONE]\nid: 7\n\n":      "[DONE]",
		"data: \xff\xfe\n\n":                      "\xff\xfe",
		"data: {\"a\":\ndata: 1}\n\n":             "{\"a\":\n1}",
		"data: 1\ndata: 2\ndata: 3\ndata: 4\n\n":  "1\n2\n3\n4",
		"data: \ndata: after an empty line\n\n\n": "\nafter an empty line",
	} {
		if got := string(eventData([]byte(in))); got != want {
			t.Errorf("eventData(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEventData_leaves_the_event_as_it_is(t *testing.T) {
	event := []byte("data: a\ndata: b\ndata: c\n\n")
	before := bytes.Clone(event)
	eventData(event)
	if !bytes.Equal(event, before) {
		t.Errorf("event is now %q", event)
	}
}

func TestCommentEnd_takes_whole_comment_lines_only(t *testing.T) {
	for in, want := range map[string]int{
		"":                       0,
		": ping":                 0,
		": ping\n":               7,
		": a\r\n: b\r\ndata: x":  10,
		"data: x\n: not leading": 0,
		":\n:\r:":                4,
	} {
		if got := commentEnd([]byte(in)); got != want {
			t.Errorf("commentEnd(%q) = %d, want %d", in, got, want)
		}
	}
}

// FuzzEventEnd checks the fast search against a plain one, byte by byte.
func FuzzEventEnd(f *testing.F) {
	for _, seed := range []string{"data: x\n\n", "a\r\n\r\nb", "\r\r\n\n", ": c\rdata\n\r", "x\n\r\n\r"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want := plainEventEnd(b)
		if got, _ := eventEnd(b, 0); got != want {
			t.Fatalf("eventEnd(%q) = %d, want %d", b, got, want)
		}
		// Looked at as it grows, and going on where the last look stopped.
		resume := 0
		for n := range len(b) + 1 {
			var got int
			if got, resume = eventEnd(b[:n], resume); got >= 0 {
				if early := got == want-1 && b[got-1] == '\r' && b[got] == '\n'; got != want && !early {
					t.Fatalf("eventEnd(%q) grown to %d = %d, want %d", b, n, got, want)
				}
				return
			}
		}
		if want >= 0 {
			t.Fatalf("eventEnd(%q) grown finds no end, want %d", b, want)
		}
	})
}

func plainEventEnd(b []byte) int {
	empty := true
	for i := 0; i < len(b); i++ {
		if b[i] != '\r' && b[i] != '\n' {
			empty = false
			continue
		}
		if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
			i++
		}
		if empty {
			return i + 1
		}
		empty = true
	}
	return -1
}
