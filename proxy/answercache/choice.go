package answercache

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Private

// A choice is what came of one choice.
type choice struct {
	rest    object // all but its index and message
	message object // all but its tool calls
	calls   []*call
}

type call struct {
	index  int64
	object object
}

// add reads a part of a choice: of a stream what is in its delta, of a whole answer
// its message. Some upstreams send both in a chunk.
func (c *choice) add(part gjson.Result, whole bool) (ok bool) {
	said, ignored := "delta", "message"
	if whole {
		said, ignored = ignored, said
	}
	ok = true
	part.ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); name {
		case "index", ignored:
		case said:
			ok = c.say(value, whole)
		case "logprobs":
			ok = c.rest.add(name, value)
		default:
			ok = c.rest.set(name, value)
		}
		return ok
	})
	return ok
}

// say reads a message, or a part of it.
func (c *choice) say(message gjson.Result, whole bool) (ok bool) {
	if !message.IsObject() {
		return message.Type == gjson.Null
	}
	ok = true
	message.ForEach(func(key, value gjson.Result) bool {
		if name := key.String(); name == "tool_calls" {
			ok = c.callTools(value, whole)
		} else {
			ok = c.message.add(name, value)
		}
		return ok
	})
	return ok
}

func (c *choice) callTools(calls gjson.Result, whole bool) (ok bool) {
	if !calls.IsArray() {
		return calls.Type == gjson.Null
	}
	ok = true
	calls.ForEach(func(_, part gjson.Result) bool {
		call := c.call(part, whole)
		ok = call != nil && part.IsObject() && call.object.merge(part)
		return ok
	})
	return ok
}

// call finds the tool call that a part belongs to: by its index, and with upstreams
// that send none by its id, a part without an id being the last one's. Some send the
// same index with different ids. It returns nil if there are too many.
func (c *choice) call(part gjson.Result, whole bool) *call {
	index, id := part.Get("index"), part.Get("id")
	for i := len(c.calls) - 1; i >= 0 && !whole; i-- {
		had := c.calls[i].object.says("id")
		other := id.Str != "" && had != "" && had != id.Raw
		if index.Exists() && c.calls[i].index == index.Int() && !other || !index.Exists() && (had == id.Raw || !id.Exists()) {
			return c.calls[i]
		}
	}
	if len(c.calls) == maxCalls {
		return nil
	}
	at := int64(len(c.calls))
	if index.Exists() {
		at = index.Int()
	}
	c.calls = append(c.calls, &call{index: at})
	return c.calls[len(c.calls)-1]
}

// whole reports whether the choice has ended as one does that can be given again.
func (c *choice) whole() bool {
	switch c.rest.says("finish_reason") {
	case `"stop"`, `"length"`, `"tool_calls"`, `"function_call"`:
	default:
		return false
	}
	for _, name := range [...]string{"content", "refusal", "function_call"} {
		switch c.message.says(name) {
		case "", `""`, "[]", "{}":
		default:
			return true
		}
	}
	return len(c.calls) > 0
}

// write appends the choice as a whole answer has it.
func (c *choice) write(out []byte, index int) []byte {
	out = append(append(out, `{"index":`...), strconv.Itoa(index)...)
	out = c.writeMessage(append(named(out, "message"), '{'))
	out = c.rest.only(append(out, '}'), "logprobs", "finish_reason")
	return append(c.rest.but(out, "logprobs", "finish_reason"), '}')
}

func (c *choice) writeMessage(out []byte) []byte {
	role, content := c.message.says("role"), c.message.says("content")
	out = append(named(out, "role"), orElse(role, `"assistant"`)...)
	out = append(named(out, "content"), orElse(content, "null")...)
	out = c.message.only(out, "refusal")
	for i, call := range c.calls {
		if i == 0 {
			out = append(named(out, "tool_calls"), '[')
		} else {
			out = append(out, ',')
		}
		out = call.write(out)
	}
	if len(c.calls) > 0 {
		out = append(out, ']')
	}
	out = c.message.only(out, "function_call")
	return c.message.but(out, "role", "content", "refusal", "function_call")
}

func (c *call) write(out []byte) []byte {
	kind := `"function"`
	if c.object.says("custom") != "" {
		kind = `"custom"`
	}
	out = c.object.only(append(out, '{'), "id")
	out = append(named(out, "type"), orElse(c.object.says("type"), kind)...)
	return append(c.object.but(out, "id", "type", "index"), '}')
}

func orElse(literal, other string) string {
	if literal == "" {
		return other
	}
	return literal
}
