package transcript

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

// speaker is who says a message: its role, with the name or the call beside it.
func speaker(m *memory.Message) string {
	beside := m.CallID
	if beside == "" {
		beside = gjson.Get(m.Raw, "name").String()
	}
	who := oneLine(m.Role)
	if beside != "" {
		who += " (" + oneLine(beside) + ")"
	}
	return who
}

// words are what a message says, for people: its text, and in brackets what is no
// text. Their lines end with \n.
func words(m *memory.Message) string {
	var parts []string
	add := func(text string) {
		if text != "" {
			parts = append(parts, text)
		}
	}
	root := gjson.Parse(m.Raw)
	switch content := root.Get("content"); {
	case content.IsArray():
		content.ForEach(func(_, part gjson.Result) bool {
			add(partWords(part))
			return true
		})
	case content.IsObject():
		add(partWords(content))
	default:
		add(content.String())
	}
	if refusal := root.Get("refusal").String(); refusal != "" {
		add("[refusal] " + refusal)
	}
	if audio := root.Get("audio"); audio.IsObject() {
		add(strings.TrimSpace("[audio] " + audio.Get("transcript").String()))
	}
	if call := root.Get("function_call"); call.IsObject() {
		add(callWords("", call))
	}
	if calls := root.Get("tool_calls"); calls.IsArray() {
		calls.ForEach(func(_, call gjson.Result) bool {
			function := call.Get("function")
			if !function.IsObject() {
				function = call.Get("custom")
			}
			add(callWords(call.Get("id").String(), function))
			return true
		})
	}
	return clean(strings.Join(parts, "\n"))
}

// partWords is what one part of a content says.
func partWords(part gjson.Result) string {
	kind := part.Get("type").String()
	switch {
	case part.Type == gjson.String:
		return part.String()
	case kind == "text", kind == "input_text", kind == "output_text":
		return part.Get("text").String()
	case kind == "refusal":
		return "[refusal] " + part.Get("refusal").String()
	case strings.Contains(kind, "image"):
		return "[image]"
	case strings.Contains(kind, "audio"):
		return "[audio]"
	case strings.Contains(kind, "file"):
		if name := part.Get("file.filename").String(); name != "" {
			return "[file " + name + "]"
		}
		return "[file]"
	case kind != "":
		return "[" + kind + "]"
	}
	return "[…]"
}

func callWords(id string, function gjson.Result) string {
	arguments := function.Get("arguments")
	if !arguments.Exists() {
		arguments = function.Get("input")
	}
	text := "[calls " + function.Get("name").String() + " " + arguments.String()
	if id != "" {
		text += " as " + id
	}
	return text + "]"
}

// clean makes every line end \n and every other control character visible, so that
// a document does nothing to the terminal that shows it.
func clean(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	if !strings.ContainsFunc(text, ruled) {
		return text
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return r
		case r == '\r' || r == '\v' || r == '\f' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			return '\n'
		case r < ' ':
			return '\u2400' + r // Unicode's pictures of control characters
		case r == '\u007f':
			return '\u2421'
		case ruled(r):
			return '\ufffd'
		}
		return r
	}, text)
}

// ruled reports whether clean has a rule for the character.
func ruled(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= '\u007f' && r <= '\u009f' || r == '\u2028' || r == '\u2029'
}

// oneLine is a text in a label.
func oneLine(text string) string {
	return strings.Join(strings.Fields(clean(text)), " ")
}
