package tokens

import (
	"bytes"
	"encoding/json"

	"github.com/tidwall/gjson"
)

// The tokens of chat markup. Those of messages are OpenAI's published figures.
// Those of calls and tools are assumptions, for OpenAI publishes none: a call's is
// above what reports of single charged prompts leave for it, and that of tools is
// the frame of the form in which definitions are known to be rendered. Neither was
// measured against an API; an upstream's own usage tells more.
const (
	// ReplyPriming is what a prompt costs beside its messages: the markup that opens
	// the reply.
	ReplyPriming = 3

	perMessage = 3
	perName    = 1
	perCall    = 8
	perTools   = 16
)

// CountMessage returns the tokens that a chat message, a JSON object, adds to a
// prompt. Text, names and arguments are counted; pictures, audio and files are
// estimated. A member that is not known counts in full, as its text if it is a
// string, else as JSON. What is no object counts as text.
func (e *Encoding) CountMessage(raw string) int {
	message := gjson.Parse(raw)
	if !message.IsObject() {
		return perMessage + e.Count(raw)
	}
	n := perMessage
	message.ForEach(func(key, value gjson.Result) bool {
		switch key.String() {
		case "name":
			n += perName + e.value(value)
		case "content":
			n += e.content(value)
		case "tool_calls":
			value.ForEach(func(_, call gjson.Result) bool {
				n += e.call(call)
				return true
			})
		case "function_call":
			if value.IsObject() {
				n += perCall + e.members(value)
			}
		default: // role, refusal, tool_call_id and whatever else there is
			n += e.value(value)
		}
		return true
	})
	return n
}

// CountTools estimates what the JSON value of a request's tools, functions or
// response_format adds to its prompt, from above: OpenAI renders definitions in a
// form that is shorter than their JSON without white space, which is counted. An
// absent value, null and an empty list add nothing.
func (e *Encoding) CountTools(raw string) int {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(raw)) == nil {
		raw = compact.String()
	}
	switch raw {
	case "", "null", "[]", "{}":
		return 0
	}
	return perTools + e.Count(raw)
}

// Private

// content counts a text or a list of parts.
func (e *Encoding) content(content gjson.Result) int {
	if !content.IsArray() {
		return e.value(content)
	}
	n := 0
	content.ForEach(func(_, part gjson.Result) bool {
		n += e.part(part)
		return true
	})
	return n
}

func (e *Encoding) part(part gjson.Result) int {
	if !part.IsObject() {
		return e.value(part)
	}
	switch part.Get("type").String() {
	case "image_url":
		image := part.Get("image_url")
		if image.IsObject() {
			return e.image.count(image.Get("url").String(), image.Get("detail").String())
		}
		return e.image.count(image.String(), "")
	case "input_audio":
		return countAudio(part.Get("input_audio.data").String())
	case "file":
		file := part.Get("file")
		return e.value(file.Get("filename")) + countFile(file.Get("file_data").String())
	}
	return e.members(part)
}

// call counts one of an assistant's tool calls. Its id is not shown to the model.
func (e *Encoding) call(call gjson.Result) int {
	if !call.IsObject() {
		return e.value(call)
	}
	n := perCall
	call.ForEach(func(key, value gjson.Result) bool {
		switch key.String() {
		case "id", "index", "type":
		case "function", "custom":
			n += e.members(value)
		default:
			n += e.value(value)
		}
		return true
	})
	return n
}

// members counts what an object holds but for what it is, and how it is to be
// cached.
func (e *Encoding) members(object gjson.Result) int {
	if !object.IsObject() {
		return e.value(object)
	}
	n := 0
	object.ForEach(func(key, value gjson.Result) bool {
		if k := key.String(); k != "type" && k != "cache_control" {
			n += e.value(value)
		}
		return true
	})
	return n
}

func (e *Encoding) value(value gjson.Result) int {
	switch {
	case value.Type == gjson.String:
		return e.Count(value.String())
	case !holds(value):
		return 0
	}
	return e.Count(value.Raw)
}

// holds reports whether a value is anything but absent, null or an empty list or
// object.
func holds(value gjson.Result) bool {
	if value.IsArray() || value.IsObject() {
		empty := true
		value.ForEach(func(_, _ gjson.Result) bool {
			empty = false
			return false
		})
		return !empty
	}
	return value.Exists() && value.Type != gjson.Null
}
