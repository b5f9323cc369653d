package proxy

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/telemetry"
)

// A reply gathers the assistant's message of an answer, from the whole body or
// chunk by chunk, and what the answer says about itself. Choice 0 is what is kept.
//
// Text is gathered as it stands in the JSON, escapes and all: a provider may cut
// a surrogate pair between two chunks, and only the joined escapes make sense.
type reply struct {
	index             int64 // of its choice
	limit             int   // of what is gathered, in bytes
	loose             bool  // it is only counted, never stored: chunks are not validated
	gathered          int   // so far
	overflown         bool  // it was more; what there was is gone
	id, model         string
	tier, fingerprint string // service_tier and system_fingerprint
	finish            string // the finish_reason of choice 0; "" while there is none
	failed            bool   // the stream carried an error
	content           jsonText
	refusal           jsonText
	reasoning         bool                            // what the model thought is a part of the message
	thoughts          [len(reasoningMembers)]jsonText // by member
	calls             []replyCall
	function          replyFunction // the legacy function_call
	others            []reply       // the further choices of a stream
	beside            int           // bytes gathered of these
	usage             telemetry.Usage
	measured          bool // the upstream reported usage
}

// jsonText is the inside of a JSON string.
type jsonText struct {
	inside  []byte
	present bool // also where all that came was ""
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
		case "service_tier":
			r.tier = value.String()
		case "system_fingerprint":
			r.fingerprint = value.String()
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
// without the members that only answers have. What the model thought is one of these,
// unless it is to be sent again.
func wholeMessage(body string, reasoning bool) string {
	return messageOf(choiceZero(gjson.Get(body, "choices")).Get("message"), reasoning)
}

func messageOf(message gjson.Result, reasoning bool) string {
	var b strings.Builder
	b.WriteString(`{"role":"assistant","content":`)
	b.WriteString(wholeContent(message))
	for _, name := range [...]string{"refusal", "tool_calls", "function_call"} {
		value := message.Get(name)
		if !value.Exists() || value.Type == gjson.Null || value.IsArray() && value.Get("#").Int() == 0 {
			continue
		}
		b.WriteString(`,"` + name + `":`)
		b.WriteString(withoutIndex(value))
	}
	if reasoning {
		writeReasoning(&b, message)
	}
	b.WriteByte('}')
	return b.String()
}

// wholeContent is the content of a complete answer's message. What a model spoke
// is kept as text. null is for messages that have something else.
func wholeContent(message gjson.Result) string {
	content := message.Get("content")
	if content.Exists() && content.Type != gjson.Null {
		return content.Raw
	}
	if transcript := message.Get("audio.transcript"); transcript.Type == gjson.String {
		return transcript.Raw
	}
	for _, name := range [...]string{"refusal", "tool_calls.0", "function_call"} {
		if value := message.Get(name); value.Exists() && value.Type != gjson.Null {
			return "null"
		}
	}
	return `""`
}

// chunk reads one chunk of a stream. data is only borrowed. A chunk that is no
// JSON is passed over: it is the client's to judge, and must not be stored.
func (r *reply) chunk(data []byte) {
	text := ownString(data)
	if !r.loose && !validJSON(text, DefaultDepthLimit) {
		return
	}
	gjson.Parse(text).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			if r.id == "" {
				r.id = strings.Clone(value.String())
			}
		case "model":
			if r.model == "" {
				r.model = strings.Clone(value.String())
			}
		case "service_tier":
			if r.tier == "" {
				r.tier = strings.Clone(value.String())
			}
		case "system_fingerprint":
			if r.fingerprint == "" {
				r.fingerprint = strings.Clone(value.String())
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
func (r *reply) complete() bool { return r.finish != "" && !r.failed && !r.overflown }

// message is the gathered message as JSON, and whether there is anything in it.
// A partial one has its text alone: half a tool call must never be sent again.
func (r *reply) message(partial bool) (raw string, ok bool) {
	var b strings.Builder
	b.WriteString(`{"role":"assistant","content":`)
	if len(r.calls) == 0 && r.function.name == "" && len(r.refusal.inside) == 0 {
		r.content.present = true // null is for messages that have something else
	}
	r.content.write(&b)
	if len(r.refusal.inside) > 0 {
		b.WriteString(`,"refusal":`)
		r.refusal.write(&b)
	}
	if !partial {
		r.writeCalls(&b)
		r.writeThoughts(&b)
	}
	b.WriteByte('}')
	return b.String(), !partial || len(r.content.inside) > 0
}

// Private

func (r *reply) readUsage(usage gjson.Result) {
	r.measured = r.usage.Measure(usage) || r.measured
}

func (r *reply) choice(choice gjson.Result) {
	if index := choice.Get("index").Int(); index != r.index {
		if other := r.other(index, len(choice.Raw)); other != nil {
			other.choice(choice)
		}
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
	if r.gathered += len(delta.Raw); r.gathered > r.limit {
		r.overflown, r.content, r.refusal, r.calls, r.function = true, jsonText{}, jsonText{}, nil, replyFunction{}
		r.thoughts, r.others = [len(reasoningMembers)]jsonText{}, nil
		return
	}
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
		default:
			r.think(key.Str, value)
		}
		return true
	})
}

// think gathers what the model thought.
func (r *reply) think(member string, value gjson.Result) {
	for i, name := range reasoningMembers {
		if member == name {
			r.thoughts[i].add(value)
		}
	}
}

// thinking is the member that tells what the model thought, -1 if none does. Some
// providers say the same in all.
func (r *reply) thinking() int {
	return slices.IndexFunc(r.thoughts[:], func(t jsonText) bool { return len(t.inside) > 0 })
}

func (r *reply) writeThoughts(b *strings.Builder) {
	for i, name := range reasoningMembers {
		if r.reasoning && len(r.thoughts[i].inside) > 0 {
			b.WriteString(`,"` + name + `":`)
			r.thoughts[i].write(b)
		}
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
