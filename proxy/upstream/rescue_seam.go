package upstream

import (
	"errors"
	"strconv"

	"github.com/tidwall/gjson"
)

const (
	deltaPath = "choices.0.delta"
	callsPath = deltaPath + ".tool_calls"
)

// Private

var (
	errDiffers = errors.New("the answer differs from what was delivered of another")
	errShort   = errors.New("the answer ended before what was delivered of another")
)

// A seam joins a further part of a stream to what the client was told: what was
// told before is left out, and the rest told as if the first part went on.
type seam struct {
	told    *told
	spent   int  // tokens that the part does not count but the client got
	joined  bool // what was told is behind
	again   *continuation
	text    trace
	refusal trace
	calls   []callTrace
	last    string // the text of a piece that differs
}

type callTrace struct {
	index           int64
	named           bool
	name, arguments trace
}

// newSeam is for a part that tells all of it again.
func newSeam(t *told) *seam {
	s := &seam{told: t, text: newTrace(t.text), refusal: newTrace(t.refusal)}
	for i := range t.calls {
		c := &t.calls[i]
		s.calls = append(s.calls, callTrace{c.index, len(c.name) > 0, newTrace(c.name), newTrace(c.arguments)})
	}
	s.join()
	return s
}

// newContinuation is for a part that was asked to go on behind head, the
// beginning of what was told.
func newContinuation(t *told, head string, spent int) *seam {
	return &seam{told: t, spent: spent, again: &continuation{
		echo: newTrace([]byte(head)), space: newTrace(t.text[len(head):]),
	}}
}

// chunk returns a chunk as the client gets it, or "" if there is nothing new in it.
func (s *seam) chunk(data string) (string, error) {
	d := draft{json: data}
	chunk := gjson.Parse(data)
	d.replace(chunk, "id", s.told.id)
	d.replace(chunk, "created", s.told.created)
	d.replace(chunk, "model", s.told.model)
	before, says := s.joined, false
	if choice := chunk.Get("choices.0"); choice.Exists() {
		var err error
		if says, err = s.choice(&d, choice); err != nil {
			return "", err
		}
	}
	s.usage(&d, chunk.Get("usage"))
	switch {
	case !before && !says, d.lost && !says && d.empty():
		return "", d.err
	}
	return d.json, d.err
}

// heard is what a part that differs has said.
func (s *seam) heard() string {
	if s.again != nil {
		return textOf([]byte(s.again.echo.again()))
	}
	all := s.text.again() + s.refusal.again()
	for i := range s.calls {
		all += s.calls[i].name.again() + s.calls[i].arguments.again()
	}
	return textOf([]byte(all + s.last))
}

// join is called when there may be nothing left that was told.
func (s *seam) join() {
	joined := s.text.ended() && s.refusal.ended() && (s.again == nil || s.again.decided)
	for i := range s.calls {
		joined = joined && s.calls[i].name.ended() && s.calls[i].arguments.ended()
	}
	s.joined = s.joined || joined
}

// choice reports whether there is something new in it.
func (s *seam) choice(d *draft, choice gjson.Result) (says bool, err error) {
	delta := choice.Get("delta")
	if s.told.role && delta.Get("role").Exists() {
		d.delete(deltaPath + ".role")
	}
	calls, function := delta.Get("tool_calls"), delta.Get("function_call")
	ends := !empty(choice.Get("finish_reason"))
	content, err := s.content(delta, ends || !empty(calls) || !empty(function) || !empty(delta.Get("refusal")))
	if err != nil {
		return false, err
	}
	says = d.text(deltaPath+".content", delta.Get("content"), content)
	if refusal := delta.Get("refusal"); refusal.Type == gjson.String {
		rest, err := s.follow(&s.refusal, refusal)
		if err != nil {
			return false, err
		}
		says = d.text(deltaPath+".refusal", refusal, rest) || says
	}
	more, err := s.toolCalls(d, calls)
	if err == nil && !empty(function) {
		says = says || more
		more, err = s.call(d, deltaPath+".function_call", s.find(functionCall), function)
	}
	if err != nil {
		return false, err
	}
	s.join()
	if ends && !s.joined {
		return false, errShort
	}
	return says || more || ends, nil
}

// content is what is new of a delta's text; where other things follow, no more of
// it is told again.
func (s *seam) content(delta gjson.Result, last bool) (rest string, err error) {
	content := delta.Get("content")
	if s.again == nil {
		if content.Type != gjson.String {
			return "", nil
		}
		return s.follow(&s.text, content)
	}
	if content.Type == gjson.String && content.Str != "" {
		rest = s.again.follow(insideOf(content))
	}
	if last {
		rest = s.again.settle() + rest
	}
	return rest, nil
}

func (s *seam) follow(t *trace, value gjson.Result) (rest string, err error) {
	rest, same := t.follow(insideOf(value))
	if !same {
		s.last = insideOf(value)
		return "", errDiffers
	}
	return rest, nil
}

func (s *seam) toolCalls(d *draft, calls gjson.Result) (says bool, err error) {
	entries := calls.Array()
	for i := len(entries) - 1; i >= 0; i-- {
		path, index := callsPath+"."+strconv.Itoa(i), entries[i].Get("index")
		if index.Type != gjson.Number && len(s.calls) > 0 {
			return false, errDiffers
		}
		c := s.find(index.Int())
		more, err := s.call(d, path+".function", c, entries[i].Get("function"))
		if err != nil {
			return false, err
		}
		switch {
		case c == nil:
		case more: // the client has the rest of it from another part
			d.delete(path + ".id")
			d.delete(path + ".type")
		case len(entries) == 1:
			d.delete(callsPath)
		default:
			d.delete(path)
		}
		says = says || more
	}
	return says, nil
}

// call reports whether there is something new of a call, c as far as it was told.
func (s *seam) call(d *draft, path string, c *callTrace, function gjson.Result) (says bool, err error) {
	if c == nil {
		return true, nil
	}
	if name := function.Get("name"); name.Type == gjson.String && c.named {
		if !c.name.ended() {
			rest, err := s.follow(&c.name, name)
			if err != nil || rest != "" || !c.name.ended() {
				return false, errDiffers
			}
		}
		d.delete(path + ".name")
	} else {
		says = !empty(name)
	}
	arguments := function.Get("arguments")
	if arguments.Type != gjson.String {
		return says, nil
	}
	rest, err := s.follow(&c.arguments, arguments)
	if err != nil {
		return false, err
	}
	return d.text(path+".arguments", arguments, rest) || says, nil
}

func (s *seam) find(index int64) *callTrace {
	for i := range s.calls {
		if s.calls[i].index == index {
			return &s.calls[i]
		}
	}
	return nil
}

// usage counts what the client got of parts that this one only went on with.
func (s *seam) usage(d *draft, usage gjson.Result) {
	if !usage.IsObject() || s.spent == 0 {
		return
	}
	completion := usage.Get("completion_tokens").Int() + int64(s.spent)
	d.set("usage.completion_tokens", strconv.FormatInt(completion, 10))
	d.set("usage.total_tokens", strconv.FormatInt(usage.Get("prompt_tokens").Int()+completion, 10))
}

func insideOf(value gjson.Result) string { return value.Raw[1 : len(value.Raw)-1] }
