package proxy

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// A replyCall is a tool call of a reply, gathered from its deltas.
type replyCall struct {
	index    int64
	id, kind string // JSON literals, as they came
	function replyFunction
	custom   bool // name and text are of a custom tool
}

type replyFunction struct {
	name string // a JSON literal
	text jsonText
}

// Private

// call finds the call that a delta belongs to: by its index, and with providers
// that send none by its id, a delta without an id being the last one's. Some send
// the same index with different ids.
func (r *reply) call(delta gjson.Result) *replyCall {
	index, id := delta.Get("index"), delta.Get("id")
	for i := len(r.calls) - 1; i >= 0; i-- {
		c := &r.calls[i]
		other := id.Type == gjson.String && id.Str != "" && c.id != "" && c.id != id.Raw
		if index.Exists() && c.index == index.Int() && !other || !index.Exists() && id.Exists() && c.id == id.Raw {
			return c
		}
	}
	if !index.Exists() && !id.Exists() && len(r.calls) > 0 {
		return &r.calls[len(r.calls)-1]
	}
	at := int64(len(r.calls))
	if index.Exists() {
		at = index.Int()
	}
	r.calls = append(r.calls, replyCall{index: at})
	return &r.calls[len(r.calls)-1]
}

func (c *replyCall) add(delta gjson.Result) {
	setOnce(&c.id, delta.Get("id"))
	setOnce(&c.kind, delta.Get("type"))
	c.function.add(delta.Get("function"), "arguments")
	if custom := delta.Get("custom"); custom.Exists() {
		c.custom = true
		c.function.add(custom, "input")
	}
}

func (f *replyFunction) add(delta gjson.Result, text string) {
	setOnce(&f.name, delta.Get("name"))
	f.text.add(delta.Get(text))
}

// setOnce keeps the first value that says something: some providers repeat ids
// and names in each chunk.
func setOnce(literal *string, value gjson.Result) {
	if *literal == "" && value.Type == gjson.String && value.Str != "" {
		*literal = strings.Clone(value.Raw)
	}
}

func (r *reply) writeCalls(b *strings.Builder) {
	for i := range r.calls {
		if i == 0 {
			b.WriteString(`,"tool_calls":[`)
		} else {
			b.WriteByte(',')
		}
		r.calls[i].write(b)
	}
	if len(r.calls) > 0 {
		b.WriteByte(']')
	}
	if r.function.name != "" {
		b.WriteString(`,"function_call":`)
		r.function.write(b, "arguments")
	}
}

func (c *replyCall) write(b *strings.Builder) {
	member, text := "function", "arguments"
	if c.custom {
		member, text = "custom", "input"
	}
	kind := c.kind
	if kind == "" {
		kind = `"` + member + `"`
	}
	b.WriteString(`{"id":` + orEmpty(c.id) + `,"type":` + kind + `,"` + member + `":`)
	c.function.write(b, text)
	b.WriteByte('}')
}

func (f *replyFunction) write(b *strings.Builder, text string) {
	b.WriteString(`{"name":` + orEmpty(f.name) + `,"` + text + `":"`)
	b.Write(f.text.inside)
	b.WriteString(`"}`)
}

func orEmpty(literal string) string {
	if literal == "" {
		return `""`
	}
	return literal
}

// withoutIndex is tool_calls as a request has them: their index is an answer's.
func withoutIndex(value gjson.Result) string {
	if !value.IsArray() || !strings.Contains(value.Raw, `"index"`) {
		return value.Raw
	}
	raw := value.Raw
	for i := range value.Array() {
		if cut, err := sjson.Delete(raw, strconv.Itoa(i)+".index"); err == nil {
			raw = cut
		}
	}
	return raw
}
