package upstream

import (
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxTold      = 1 << 20 // of an answer's text, in bytes, that a rescue can go on with
	functionCall = -1      // the index of the call in the form before tool calls
)

// Private

// told is what the client has been told of an answer. Its texts are the insides
// of JSON strings.
type told struct {
	id, created, model string // JSON literals of the first chunk; "": none yet
	role               bool
	text, refusal      []byte
	calls              []toldCall
	size               int // of all texts
	begun              bool
	finished           bool // choice 0 is
	done               bool // so is the stream
}

type toldCall struct {
	index           int64
	name, arguments []byte
}

type sense uint8

const (
	plain   sense = iota
	failing       // an error that need not come elsewhere
	strange       // what nobody else could go on with
)

// note adds what an event tells. An event that fails is not added.
func (t *told) note(e *event) (sense, fault) {
	switch {
	case e.data == "":
		return plain, ""
	case e.done():
		t.done = true
		return plain, ""
	case !validJSON(e.data): // the client's to judge
		return plain, ""
	}
	var choices gjson.Result
	wrong := e.named
	gjson.Parse(e.data).ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "id":
			keepFirst(&t.id, value)
		case "created":
			keepFirst(&t.created, value)
		case "model":
			keepFirst(&t.model, value)
		case "choices":
			choices = value
		case "error":
			wrong = wrong || value.Type != gjson.Null
		}
		return true
	})
	if wrong {
		return senseOf(faultOf([]byte(e.data)))
	}
	followed := true
	choices.ForEach(func(_, choice gjson.Result) bool {
		followed = t.choice(choice)
		return followed
	})
	if !followed || t.size > maxTold {
		return strange, ""
	}
	return plain, ""
}

// output is all the text, without escapes.
func (t *told) output() string {
	var b strings.Builder
	b.WriteString(textOf(t.text))
	b.WriteString(textOf(t.refusal))
	for i := range t.calls {
		b.WriteString(textOf(t.calls[i].name))
		b.WriteString(textOf(t.calls[i].arguments))
	}
	return b.String()
}

func senseOf(f fault) (sense, fault) {
	if f.final() {
		return strange, f
	}
	return failing, f
}

func textOf(inside []byte) string {
	return gjson.Parse(`"` + string(inside) + `"`).String()
}

func keepFirst(literal *string, value gjson.Result) {
	if *literal == "" && !empty(value) && value.Raw != "0" {
		*literal = strings.Clone(value.Raw)
	}
}

// choice reports whether the choice can be followed.
func (t *told) choice(choice gjson.Result) (followed bool) {
	t.begun, followed = true, true
	choice.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "index":
			followed = followed && value.Int() == 0
		case "delta":
			followed = t.delta(value) && followed
		case "finish_reason":
			t.finished = t.finished || !empty(value)
		}
		return true
	})
	return followed
}

func (t *told) delta(delta gjson.Result) (followed bool) {
	followed = true
	delta.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "role":
			t.role = t.role || !empty(value)
		case "content":
			followed = t.add(&t.text, value) && followed
		case "refusal":
			followed = t.add(&t.refusal, value) && followed
		case "tool_calls":
			value.ForEach(func(_, call gjson.Result) bool {
				index := call.Get("index")
				followed = index.Type == gjson.Number && empty(call.Get("custom")) &&
					t.call(index.Int(), call.Get("function")) && followed
				return true
			})
		case "function_call":
			followed = (empty(value) || t.call(functionCall, value)) && followed
		case "audio":
			followed = followed && empty(value)
		}
		return true
	})
	return followed
}

func (t *told) call(index int64, function gjson.Result) bool {
	c := t.find(index)
	if c == nil {
		t.calls = append(t.calls, toldCall{index: index})
		c = &t.calls[len(t.calls)-1]
	}
	name := function.Get("name") // some say it in each chunk
	return (len(c.name) > 0 || t.add(&c.name, name)) && t.add(&c.arguments, function.Get("arguments"))
}

func (t *told) find(index int64) *toldCall {
	for i := range t.calls {
		if t.calls[i].index == index {
			return &t.calls[i]
		}
	}
	return nil
}

func (t *told) add(text *[]byte, value gjson.Result) bool {
	if value.Type != gjson.String {
		return empty(value)
	}
	inside := insideOf(value)
	t.size += len(inside)
	*text = append(*text, inside...)
	return true
}
