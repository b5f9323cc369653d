package answercache

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Stream is the body for a client that asked for a stream, as OpenAI's API sends it:
// events with the role, the text in pieces, each tool call by its index, and the
// finish reason, choice after choice; the usage, if the client asked for it and the
// upstream told it; and [DONE]. Log probabilities go with the text that they are
// about, unknown members of a message with its role.
func (a Answer) Stream(includeUsage bool) []byte {
	root := gjson.Parse(a.body)
	p := player{out: make([]byte, 0, 4*len(a.body)), first: []byte{'{'}, head: []byte{'{'}, tail: "}"}
	root.ForEach(func(key, value gjson.Result) bool {
		p.member(key.String(), value)
		return true
	})
	usage := root.Get("usage")
	if includeUsage {
		p.tail = `,"usage":null}`
	}
	root.Get("choices").ForEach(func(_, choice gjson.Result) bool {
		p.choice(choice)
		return true
	})
	if includeUsage && usage.Exists() {
		p.tail = `,"usage":` + usage.Raw + "}"
		p.chunk(nil)
	}
	return append(p.out, "data: [DONE]\n\n"...)
}

// Private

// A player writes the events of a stream.
type player struct {
	out   []byte
	first []byte // how the first chunk begins
	head  []byte // how every other one does
	tail  string // how they end
}

func (p *player) member(name string, value gjson.Result) {
	literal := value.Raw
	switch name {
	case "choices", "usage":
		return
	case "object":
		literal = `"chat.completion.chunk"`
	}
	p.first = append(named(p.first, name), literal...)
	if name == "id" || name == "object" || inEach(name) {
		p.head = append(named(p.head, name), literal...)
	}
}

// chunk writes an event with one choice, or with none.
func (p *player) chunk(choice []byte) {
	head := p.first
	if len(p.out) > 0 {
		head = p.head
	}
	p.out = append(append(p.out, "data: "...), head...)
	p.out = append(append(append(named(p.out, "choices"), '['), choice...), ']')
	p.out = append(append(p.out, p.tail...), "\n\n"...)
}

func (p *player) choice(choice gjson.Result) {
	v := newVoice(choice)
	message := choice.Get("message")
	p.chunk(v.delta(opening(message), v.silence(), "null"))
	for _, name := range [...]string{"content", "refusal"} {
		p.text(v, name, message.Get(name), `{"`+name+`":"`, `"}`)
	}
	index := 0
	message.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
		p.call(v, strconv.Itoa(index), call)
		index++
		return true
	})
	if function := message.Get("function_call"); function.IsObject() {
		p.chunk(v.delta(append(append([]byte(`{"function_call":`), emptied(function, "arguments")...), '}'), v.silence(), "null"))
		p.text(v, "", function.Get("arguments"), `{"function_call":{"arguments":"`, `"}}`)
	}
	last := v.delta([]byte("{}"), v.rest(), choice.Get("finish_reason").Raw)
	p.chunk(append(append(last[:len(last)-1], v.others...), '}'))
}

// call writes one tool call: first what it is, then its input in pieces.
func (p *player) call(v *voice, index string, call gjson.Result) {
	begin := `{"tool_calls":[{"index":` + index
	first := []byte(begin)
	call.ForEach(func(key, value gjson.Result) bool {
		literal := []byte(value.Raw)
		if input := inputOf(key.Str); input != "" && value.IsObject() {
			literal = emptied(value, input)
		}
		first = append(named(first, key.String()), literal...)
		return true
	})
	p.chunk(v.delta(append(first, "}]}"...), v.silence(), "null"))
	for _, kind := range [...]string{"function", "custom"} {
		input := inputOf(kind)
		p.text(v, "", call.Get(kind+"."+input), begin+`,"`+kind+`":{"`+input+`":"`, `"}}]}`)
	}
}

// text writes a text in pieces, each between before and after. name is that of its
// log probabilities.
func (p *player) text(v *voice, name string, text gjson.Result, before, after string) {
	if text.Type != gjson.String {
		return
	}
	inside := text.Raw[1 : len(text.Raw)-1]
	for at := 0; at < len(inside); {
		end := pieceEnd(inside, at)
		delta := append(append([]byte(before), inside[at:end]...), after...)
		p.chunk(v.delta(delta, v.probs(name, end), "null"))
		at = end
	}
}

// opening is a message as it begins in a stream: its texts and calls are to come.
func opening(message gjson.Result) []byte {
	delta := []byte{'{'}
	message.ForEach(func(key, value gjson.Result) bool {
		name, literal := key.String(), value.Raw
		switch {
		case name == "tool_calls", name == "function_call" && value.IsObject():
			return true
		case name == "content" && value.Type == gjson.String:
			literal = `""`
		case name == "refusal" && value.Type == gjson.String && value.Str != "":
			literal = "null"
		}
		delta = append(named(delta, name), literal...)
		return true
	})
	return append(delta, '}')
}

// emptied is an object whose text of that name is still to come.
func emptied(object gjson.Result, text string) []byte {
	out := []byte{'{'}
	object.ForEach(func(key, value gjson.Result) bool {
		literal := value.Raw
		if key.Str == text && value.Type == gjson.String {
			literal = `""`
		}
		out = append(named(out, key.String()), literal...)
		return true
	})
	return append(out, '}')
}

// inputOf is the name of the text that a tool of that kind is called with.
func inputOf(kind string) string {
	switch kind {
	case "function":
		return "arguments"
	case "custom":
		return "input"
	}
	return ""
}
