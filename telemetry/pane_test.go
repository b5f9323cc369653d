package telemetry

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func TestPane_shows_the_newest_messages_that_fit(t *testing.T) {
	p := pane{room: 200}
	for _, text := range []string{"newest", strings.Repeat("b", 60), strings.Repeat("c", 60), "oldest"} {
		p.show(message{before: `{"parts":[`, parts: []part{{before: `{"content":`, text: text}}, list: "]", after: "}"})
	}
	got := p.String()
	if len(got) > 200 || !gjson.Valid(got) || !p.cut {
		t.Fatalf("%d bytes, cut %v: %s", len(got), p.cut, got)
	}
	shown := gjson.Get(got, "#.parts.0.content").Array()
	if last := shown[len(shown)-1].Str; last != "newest" || strings.Contains(got, "oldest") || !strings.Contains(got, "bbb") {
		t.Errorf("got %s", got)
	}
}

func TestPane_cuts_between_characters(t *testing.T) {
	for room := range 300 {
		p := pane{room: room}
		p.show(message{parts: []part{{before: `{"content":`, text: strings.Repeat("é😀", 100)}}})
		got := p.String()
		if len(got) > room || got != "" && !gjson.Valid(got) || !utf8.ValidString(got) || strings.ContainsRune(got, utf8.RuneError) || !p.cut {
			t.Fatalf("%d: %q, cut %v", room, got, p.cut)
		}
	}
}

func TestPane_shows_nothing_of_nothing(t *testing.T) {
	p := pane{room: 10}
	p.show(message{})
	if got := p.String(); got != "" || p.cut {
		t.Errorf("%q, cut %v", got, p.cut)
	}
}
