package proxy

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"mnemo/telemetry"
)

// A reply gathers the assistant's message of an answer, from the whole body or
// chunk by chunk, and what the answer says about itself. Only choice 0 is kept.
//
// Text is gathered as it stands in the JSON, escapes and all: a provider may cut
// a surrogate pair between two chunks, and only the joined escapes make sense.
type reply struct {
	id, model string
	finish    string // the finish_reason of choice 0; "" while there is none
	failed    bool   // the stream carried an error
	content   jsonText
	refusal   jsonText
	calls     []replyCall
	function  replyFunction // the legacy function_call
	usage     telemetry.Usage
	measured  bool // the upstream reported usage
}

// jsonText is the inside of a JSON string.
type jsonText struct {
	inside  []byte
	present bool // also where all that came was ""
}

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

// whole reads a complete answer. It reports false if the body is no chat
// completion with a choice 0.
func (r *reply) whole(body string) (ok bool) {
	gjson.Parse(body).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			r.id = value.String()
		case "model":
			r.model = value.String()
		case "choices":
			choice := choiceZero(value)
			r.finish = choice.Get("finish_reason").String()
			ok = choice.Get("message").IsObject()
		case "usage":
			r.readUsage(value)
		}
		return true
	})
	return ok
}

// wholeMessage is the message of a complete answer in the form that is stored:
// without the members that only answers have.
func wholeMessage(body string) string {
	message := choiceZero(gjson.Get(body, "choices")).Get("message")
	var b strings.Builder
	b.WriteString(`{"role":"assistant","content":`)
	if content := message.Get("content"); content.Exists() {
		b.WriteString(content.Raw)
	} else {
		b.WriteString("null")
	}
	for _, name := range [...]string{"refusal", "tool_calls", "function_call"} {
		value := message.Get(name)
		if !value.Exists() || value.Type == gjson.Null || value.IsArray() && value.Get("#").Int() == 0 {
			continue
		}
		b.WriteString(`,"` + name + `":`)
		b.WriteString(withoutIndex(value))
	}
	b.WriteByte('}')
	return b.String()
}

// chunk reads one chunk of a stream. data is only borrowed. A chunk that is no
// JSON is passed over: it is the client's to judge.
func (r *reply) chunk(data []byte) {
	root := gjson.Parse(ownString(data))
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			if r.id == "" {
				r.id = strings.Clone(value.String())
			}
		case "model":
			if r.model == "" {
				r.model = strings.Clone(value.String())
			}
		case "choices":
			value.ForEach(func(_, choice gjson.Result) bool {
				r.choice(choice)
				return true
			})
		case "usage":
			r.readUsage(value)
		case "error":
			r.failed = r.failed || value.Type != gjson.Null
		}
		return true
	})
}

// complete reports whether the stream said all that it had to say.
func (r *reply) complete() bool { return r.finish != "" && !r.failed }

// message is the gathered message as JSON, and whether there is anything in it.
// A partial one has its text alone: half a tool call must never be sent again.
func (r *reply) message(partial bool) (raw string, ok bool) {
	var b strings.Builder
	b.WriteString(`{"role":"assistant","content":`)
	r.content.write(&b)
	if len(r.refusal.inside) > 0 {
		b.WriteString(`,"refusal":`)
		r.refusal.write(&b)
	}
	if !partial {
		r.writeCalls(&b)
	}
	b.WriteByte('}')
	return b.String(), !partial || len(r.content.inside) > 0
}

// Private

func (r *reply) readUsage(usage gjson.Result) {
	if !usage.IsObject() {
		return
	}
	r.measured = true
	r.usage.Source = telemetry.Measured
	usage.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			r.usage.Input = int(value.Int())
		case "completion_tokens":
			r.usage.Output = int(value.Int())
		case "prompt_tokens_details":
			r.usage.CachedInput = int(value.Get("cached_tokens").Int())
		case "completion_tokens_details":
			r.usage.Reasoning = int(value.Get("reasoning_tokens").Int())
		}
		return true
	})
}

func (r *reply) choice(choice gjson.Result) {
	if choice.Get("index").Int() != 0 {
		return
	}
	choice.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "delta":
			r.delta(value)
		case "finish_reason":
			if value.Type == gjson.String && value.Str != "" {
				r.finish = strings.Clone(value.Str)
			}
		}
		return true
	})
}

func (r *reply) delta(delta gjson.Result) {
	delta.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "content":
			r.content.add(value)
		case "refusal":
			r.refusal.add(value)
		case "tool_calls":
			value.ForEach(func(_, call gjson.Result) bool {
				r.call(call).add(call)
				return true
			})
		case "function_call":
			r.function.add(value, "arguments")
		}
		return true
	})
}

// call finds the call that a delta belongs to: by its index, and with providers
// that send none by its id, a delta without an id being the last one's.
func (r *reply) call(delta gjson.Result) *replyCall {
	index, id := delta.Get("index"), delta.Get("id")
	for i := range r.calls {
		c := &r.calls[i]
		if index.Exists() && c.index == index.Int() || !index.Exists() && id.Exists() && c.id == id.Raw {
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

func (t *jsonText) add(value gjson.Result) {
	if value.Type == gjson.String {
		t.present = true
		t.inside = append(t.inside, value.Raw[1:len(value.Raw)-1]...)
	}
}

func (t *jsonText) write(b *strings.Builder) {
	if !t.present {
		b.WriteString("null")
		return
	}
	b.WriteByte('"')
	b.Write(t.inside)
	b.WriteByte('"')
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

func choiceZero(choices gjson.Result) (zero gjson.Result) {
	choices.ForEach(func(_, choice gjson.Result) bool {
		if choice.Get("index").Int() == 0 {
			zero = choice
			return false
		}
		return true
	})
	return zero
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
