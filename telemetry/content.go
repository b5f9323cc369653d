package telemetry

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/attribute"
)

const (
	// DefaultContentLimit is the bytes of each attribute that holds content.
	DefaultContentLimit = 16 << 10
	// MaxContentLimit is the most that Options.ContentLimit can be.
	MaxContentLimit = 256 << 10

	// maxRedacted bounds the text of a part. What is longer is left out: half of it
	// might end in half a secret, which no pattern finds.
	maxRedacted = 1 << 20
	maxNesting  = 64 // of a tool call's arguments
	leftOut     = "[too long]"

	errorFinish = "error" // the reason of an answer that did not come to its end
)

// content is how messages get into spans. The forms are those of the JSON schemas
// that the GenAI conventions publish beside their attributes.
type content struct {
	on       bool
	limit    int // bytes of an attribute
	patterns []*regexp.Regexp
}

// Private

func newContent(o *Options) content {
	return content{
		on:       o.Content,
		limit:    min(cmp.Or(max(o.ContentLimit, 0), DefaultContentLimit), MaxContentLimit),
		patterns: o.Redact,
	}
}

// capture returns the messages of a call: the newest that fit, and instructions apart.
func (c *content) capture(call *ChatCall) []attribute.KeyValue {
	system, input, output := pane{room: c.limit}, pane{room: c.limit}, pane{room: c.limit}
	for _, m := range slices.Backward(gjson.Get(call.Body, "messages").Array()) {
		switch m.Get("role").Str {
		case "system", "developer":
			system.show(message{parts: c.parts(m)})
		default:
			input.show(c.message(m))
		}
	}
	reasons := call.finishReasons()
	for i, raw := range slices.Backward(call.Output) {
		m := c.message(gjson.Parse(raw))
		m.after = `,"finish_reason":"` + errorFinish + `"}`
		if i < len(reasons) {
			m.after = string(append(gjson.AppendJSONString([]byte(`,"finish_reason":`), reasons[i]), '}'))
		}
		output.show(m)
	}
	attrs := make(texts, 0, 4)
	attrs.add(systemInstructions, system.String())
	attrs.add(inputMessages, input.String())
	attrs.add(outputMessages, output.String())
	attrs.flag(contentCut, system.cut || input.cut || output.cut)
	return attrs
}

// message takes a message of the Chat Completions API apart.
func (c *content) message(m gjson.Result) message {
	before := append([]byte(`{"role":`), c.quote(cmp.Or(m.Get("role").Str, "assistant"))...)
	if name := m.Get("name").String(); name != "" {
		before = append(append(before, `,"name":`...), c.quote(name)...)
	}
	return message{before: string(before) + `,"parts":[`, parts: c.parts(m), after: "}", list: "]"}
}

func (c *content) parts(m gjson.Result) (parts []part) {
	body := m.Get("content")
	switch {
	case m.Get("role").Str == "tool":
		return []part{{before: `{"type":"tool_call_response","id":` + c.quote(m.Get("tool_call_id").String()) + `,"response":`, text: c.clean(textOf(body))}}
	case body.Type == gjson.String:
		parts = append(parts, c.text("text", body))
	case body.IsArray():
		body.ForEach(func(_, p gjson.Result) bool {
			parts = append(parts, c.part(p))
			return true
		})
	}
	for _, other := range [...]struct{ member, kind string }{
		{"reasoning_content", "reasoning"}, {"reasoning", "reasoning"}, {"refusal", "refusal"},
	} {
		if text := m.Get(other.member); text.Type == gjson.String && text.Str != "" {
			parts = append(parts, c.text(other.kind, text))
		}
	}
	m.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
		parts = append(parts, c.call(call.Get("id").String(), call.Get("function")))
		return true
	})
	if call := m.Get("function_call"); call.IsObject() {
		parts = append(parts, c.call("", call))
	}
	return parts
}

// part takes a part of a message apart. Of pictures and sounds only the kind is told.
func (c *content) part(p gjson.Result) part {
	kind := p.Get("type").Str
	switch kind {
	case "text", "refusal":
		return c.text(kind, p.Get(kind))
	case "input_audio":
		return part{before: `{"type":"blob","modality":"audio","content":`}
	case "image_url":
		if uri := p.Get("image_url.url").String(); !strings.HasPrefix(uri, "data:") {
			return part{before: `{"type":"uri","modality":"image","uri":`, text: c.clean(uri)}
		}
		return part{before: `{"type":"blob","modality":"image","content":`}
	}
	return part{before: `{"type":` + c.quote(kind) + `,"content":`}
}

func (c *content) text(kind string, text gjson.Result) part {
	return part{before: `{"type":"` + kind + `","content":`, text: c.clean(text.String())}
}

func (c *content) call(id string, function gjson.Result) part {
	p := part{before: `{"type":"tool_call","id":` + c.quote(id) + `,"name":` + c.quote(function.Get("name").String()) + `,"arguments":`}
	arguments := function.Get("arguments").String()
	if len(arguments) > maxRedacted || !gjson.Valid(arguments) {
		p.text = c.clean(arguments)
		return p
	}
	p.text, p.json = string(c.cleanJSON(nil, gjson.Parse(arguments), 0)), true
	return p
}

// cleanJSON appends a value with clean texts. In the text of a value, an escape before
// a secret would hide it.
func (c *content) cleanJSON(b []byte, value gjson.Result, depth int) []byte {
	switch {
	case value.Type == gjson.String:
		return gjson.AppendJSONString(b, c.clean(value.String()))
	case value.Type != gjson.JSON:
		return append(b, value.Raw...)
	case depth == maxNesting:
		return gjson.AppendJSONString(b, leftOut)
	}
	open, end := byte('['), byte(']')
	if value.IsObject() {
		open, end = '{', '}'
	}
	b = append(b, open)
	first := true
	value.ForEach(func(key, value gjson.Result) bool {
		if !first {
			b = append(b, ',')
		}
		if first = false; key.Exists() && open == '{' {
			b = append(gjson.AppendJSONString(b, c.clean(key.String())), ':')
		}
		b = c.cleanJSON(b, value, depth+1)
		return true
	})
	return append(b, end)
}

// quote is a short text as JSON.
func (c *content) quote(text string) string {
	return string(gjson.AppendJSONString(nil, clip(c.clean(text))))
}

// clean is a text without what must not be shown.
func (c *content) clean(text string) string {
	if len(text) > maxRedacted {
		return leftOut
	}
	return redact(strings.ToValidUTF8(text, "\uFFFD"), c.patterns)
}

// textOf is a tool's result, whose parts can only be texts.
func textOf(content gjson.Result) string {
	if !content.IsArray() {
		return content.String()
	}
	var b strings.Builder
	content.ForEach(func(_, part gjson.Result) bool {
		b.WriteString(part.Get("text").String())
		return true
	})
	return b.String()
}
