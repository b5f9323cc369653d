package summarize

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

const (
	// leastShare is what a message keeps of itself where a group of messages has to
	// be shortened, in tokens.
	leastShare  = 32
	longestRole = 32
)

// A line is a message as the transcript gives it.
type line struct {
	role   string // and the speaker's name, if the message has one
	text   string
	tokens int
	result bool // a tool said it
}

// linesOf renders messages in no more than about so many tokens: those that are too
// long for it lose their middle, the longest first.
func linesOf(messages []*memory.Message, limit int) []line {
	lines := make([]line, 0, len(messages))
	for _, m := range messages {
		if text := rendered(m.Raw); text != "" {
			lines = append(lines, line{role: label(m), text: text, tokens: min(m.Bound(), len(text)), result: m.Role == memory.RoleTool})
		}
	}
	share := shareOf(lines, limit)
	for i := range lines {
		if l := &lines[i]; l.tokens > share {
			l.text = shortened(l.text, len(l.text)*share/l.tokens)
			l.tokens = share
		}
	}
	return lines
}

// transcriptOf joins the lines. What a line goes on with is indented, so that no
// message can pretend to be two.
func transcriptOf(lines []line, limit int) string {
	var b strings.Builder
	tokens := 0
	for i := range lines {
		b.WriteString(lines[i].role)
		b.WriteString(": ")
		b.WriteString(indent.Replace(lines[i].text))
		b.WriteByte('\n')
		tokens += lines[i].tokens
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if tokens > limit {
		text = shortened(text, len(text)*limit/tokens)
	}
	return text
}

var indent = strings.NewReplacer("\r\n", "\n  ", "\n", "\n  ", "\r", "\n  ", "\v", "\n  ", "\f", "\n  ",
	"\u0085", "\n  ", "\u2028", "\n  ", "\u2029", "\n  ")

// shareOf is the most that each line may take so that all take no more than the
// limit together.
func shareOf(lines []line, limit int) int {
	sizes := make([]int, len(lines))
	for i := range lines {
		sizes[i] = lines[i].tokens
	}
	slices.Sort(sizes)
	for i, size := range sizes {
		if equal := limit / (len(sizes) - i); size > equal {
			return max(equal, leastShare)
		}
		limit -= size
	}
	return max(limit, leastShare)
}

// shortened leaves out the middle of a text that is longer than limit bytes, and
// says how much.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	head, tail := limit/2, len(text)-limit/2
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	left := utf8.RuneCountInString(text[head:tail])
	return fmt.Sprintf("%s [… %d characters left out …] %s", text[:head], left, text[tail:])
}

func label(m *memory.Message) string {
	role := m.Role
	if name := gjson.Get(m.Raw, "name"); name.Type == gjson.String {
		role += " " + name.Str
	}
	role = strings.Join(strings.FieldsFunc(role, func(r rune) bool { return r < ' ' || r == ':' || r == '\u2028' || r == '\u2029' || r == '\u0085' }), " ")
	return shortened(strings.ToValidUTF8(role, "\uFFFD"), longestRole)
}

// rendered is what a message says, as text.
func rendered(raw string) string {
	var parts []string
	add := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			parts = append(parts, strings.ToValidUTF8(text, "\uFFFD"))
		}
	}
	gjson.Parse(raw).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "content":
			if value.Type == gjson.String {
				add(value.Str)
			} else if value.IsArray() {
				value.ForEach(func(_, part gjson.Result) bool {
					add(renderedPart(part))
					return true
				})
			}
		case "refusal":
			add(value.String())
		case "audio":
			add(value.Get("transcript").String())
		case "function_call":
			add(renderedCall(value))
		case "tool_calls":
			if value.IsArray() {
				value.ForEach(func(_, call gjson.Result) bool {
					add(renderedCall(call.Get("function")))
					add(renderedCall(call.Get("custom")))
					return true
				})
			}
		}
		return true
	})
	return strings.Join(parts, "\n")
}

func renderedPart(part gjson.Result) string {
	if part.Type == gjson.String {
		return part.Str
	}
	switch kind := part.Get("type").String(); kind {
	case "text", "input_text", "output_text":
		return part.Get("text").String()
	case "refusal":
		return part.Get("refusal").String()
	case "image_url", "input_image":
		return "[image]"
	case "input_audio":
		return "[audio]"
	case "file":
		return strings.TrimSpace("[file "+shortened(part.Get("file.filename").String(), 4*longestRole)) + "]"
	case "":
		return ""
	default:
		return "[" + shortened(kind, longestRole) + "]"
	}
}

func renderedCall(function gjson.Result) string {
	if !function.IsObject() {
		return ""
	}
	arguments := function.Get("arguments")
	if !arguments.Exists() {
		arguments = function.Get("input")
	}
	return function.Get("name").String() + "(" + arguments.String() + ")"
}
