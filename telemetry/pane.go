package telemetry

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	leastText = 32 // bytes of a text that are worth showing
	ellipsis  = "…"
)

// A pane shows messages in an attribute of bounded size, the newest first of all.
type pane struct {
	room  int      // what is left, in bytes
	shown []string // as JSON, the newest first
	cut   bool     // something is not shown
}

// A message is what comes before and after the list of its parts. One that is no
// object of its own has nothing there.
type message struct {
	before, list, after string
	parts               []part
}

// A part is an object whose last member is text.
type part struct {
	before string
	text   string
	json   bool // text is JSON, and not written as a string if it is whole
}

// String is the JSON array of what is shown, the oldest first; "" if that is nothing.
func (p *pane) String() string {
	if len(p.shown) == 0 {
		return ""
	}
	slices.Reverse(p.shown)
	return "[" + strings.Join(p.shown, ",") + "]"
}

// Private

// show adds a message in front of those that are shown. If it does not fit, its texts
// are cut until it does; what is older is not shown then.
func (p *pane) show(m message) {
	if p.cut || m.before == "" && len(m.parts) == 0 {
		return
	}
	text := m.encode(-1)
	for limit := p.room; len(text)+2 > p.room; limit /= 2 { // brackets or a comma
		if p.cut = true; limit < leastText {
			return
		}
		text = m.encode(limit)
	}
	p.shown, p.room = append(p.shown, text), p.room-len(text)-2
}

// encode writes a message with at most limit bytes of each text; -1: all of it.
func (m *message) encode(limit int) string {
	b := []byte(m.before)
	for i := range m.parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.parts[i].encode(b, limit)
	}
	return string(append(append(b, m.list...), m.after...))
}

func (p *part) encode(b []byte, limit int) []byte {
	b = append(b, p.before...)
	switch whole := limit < 0 || len(p.text) <= limit; {
	case whole && p.json:
		b = append(b, p.text...)
	case whole:
		b = gjson.AppendJSONString(b, p.text)
	default:
		for limit > 0 && !utf8.RuneStart(p.text[limit]) {
			limit--
		}
		b = gjson.AppendJSONString(b, p.text[:limit]+ellipsis)
	}
	return append(b, '}')
}
