package memory

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Private

// instructions reads a session's system messages. They are matched with nothing,
// so they get no hash.
func instructions(array string) (messages []Message) {
	if array == "" {
		return nil
	}
	gjson.Parse(array).ForEach(func(_, m gjson.Result) bool {
		messages = append(messages, Message{Raw: m.Raw, Role: m.Get("role").String()})
		return true
	})
	return messages
}

// withBlock adds a text to the end of the last instruction, or makes an instruction
// of it. Nothing else of the instructions changes, so that what comes before the
// text stays the same prefix.
func withBlock(system []Message, block string) []Message {
	out := make([]Message, len(system), len(system)+1)
	copy(out, system)
	if len(out) > 0 {
		last := &out[len(out)-1]
		if raw, ok := appendText(last.Raw, block); ok {
			last.Raw, last.Tokens = raw, 0
			return out
		}
	}
	raw := append([]byte(`{"role":"system","content":`), gjson.AppendJSONString(nil, block)...)
	return append(out, Message{Raw: string(append(raw, '}')), Role: RoleSystem})
}

// appendText is a message with a text added to its content, if that is a string or
// an array of parts.
func appendText(raw, text string) (string, bool) {
	content := gjson.Get(raw, "content")
	end := content.Index + len(content.Raw) - 1 // of the string's quote or the array's bracket
	if content.Index == 0 || strings.Count(raw, `"content"`) > 1 && repeated(raw, "content") {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(raw) + len(text) + 64)
	b.WriteString(raw[:end])
	added := string(gjson.AppendJSONString(nil, text))
	switch {
	case content.Type == gjson.String:
		if content.Raw != `""` {
			b.WriteString(`\n\n`)
		}
		b.WriteString(added[1 : len(added)-1])
	case content.IsArray():
		if content.Get("#").Int() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"type":"text","text":` + added + `}`)
	default:
		return "", false
	}
	b.WriteString(raw[end:])
	return b.String(), true
}

// repeated reports whether an object has more than one member of the name: which
// of them counts is not ours to say.
func repeated(raw, name string) bool {
	n := 0
	gjson.Parse(raw).ForEach(func(key, _ gjson.Result) bool {
		if key.String() == name {
			n++
		}
		return true
	})
	return n > 1
}
