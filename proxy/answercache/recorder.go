package answercache

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	// maxChoices is OpenAI's limit of n.
	maxChoices = 128
	// maxCalls bounds the tool calls of a choice.
	maxCalls = 128
	// maxHeard bounds the deltas of a stream, which say each token in some 70 bytes.
	maxHeard = 4 * MaxAnswer
)

// A Recorder puts an Answer together from the chunks of a stream while they pass, in
// memory bounded by some times MaxAnswer. The zero Recorder is ready.
type Recorder struct {
	whole   bool // it is given a whole answer
	failed  bool // there is no answer in what came
	heard   int  // bytes that may have been kept
	head    object
	choices []*choice // by index
}

// Chunk adds the data of one event, [DONE] included. They are only lent.
func (r *Recorder) Chunk(data []byte) {
	if !r.failed && !bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")) {
		r.add(string(data))
	}
}

// Answer returns what came, if it is whole and worth being kept.
func (r *Recorder) Answer() (answer Answer, ok bool) {
	if r.failed || len(r.choices) == 0 {
		return Answer{}, false
	}
	for _, c := range r.choices {
		if c == nil || !c.whole() {
			return Answer{}, false
		}
	}
	out := r.write(nil)
	if len(out) > MaxAnswer || !utf8.Valid(out) {
		return Answer{}, false
	}
	return Answer{string(out)}, true
}

// Private

// add reads a chunk, or a whole answer.
func (r *Recorder) add(text string) {
	if len(text) <= 2*MaxAnswer { // there may be white space in it
		text, ok := compact(text)
		r.failed = !ok || text[0] != '{' || !r.members(gjson.Parse(text))
	} else {
		r.failed = true
	}
	if r.failed {
		r.head, r.choices = object{}, nil
	}
}

func (r *Recorder) members(root gjson.Result) (ok bool) {
	ok = true
	root.ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); name {
		case "choices":
			ok = r.hear(value)
		case "error":
			ok = value.Type == gjson.Null
		case "object", "obfuscation": // of a chunk alone
		case "usage": // null in all chunks but the last
			ok = value.Type == gjson.Null || r.head.set(name, value)
		case "id":
			ok = r.head.add(name, value)
		default:
			if r.heard += len(value.Raw); inEach(name) {
				r.heard -= len(value.Raw) // it replaces itself
			}
			ok = r.heard <= maxHeard && r.head.set(name, value)
		}
		return ok
	})
	return ok
}

// hear reads the choices of a chunk, or of a whole answer.
func (r *Recorder) hear(choices gjson.Result) (ok bool) {
	if !choices.IsArray() {
		return choices.Type == gjson.Null
	}
	ok = true
	position := -1
	choices.ForEach(func(_, part gjson.Result) bool {
		position++
		index := part.Get("index").Int()
		if r.whole && !part.Get("index").Exists() {
			index = int64(position)
		}
		r.heard += len(part.Raw)
		ok = part.IsObject() && 0 <= index && index < maxChoices && r.heard <= maxHeard
		if ok {
			for int64(len(r.choices)) <= index {
				r.choices = append(r.choices, nil)
			}
			if r.choices[index] == nil {
				r.choices[index] = &choice{}
			}
			ok = r.choices[index].add(part, r.whole)
		}
		return ok
	})
	return ok
}

// inEach reports whether each chunk of a stream has a member, with the same value.
func inEach(name string) bool {
	switch name {
	case "created", "model", "service_tier", "system_fingerprint":
		return true
	}
	return false
}

func (r *Recorder) write(out []byte) []byte {
	out = r.head.only(append(out, '{'), "id")
	out = append(named(out, "object"), `"chat.completion"`...)
	out = r.head.only(out, "created", "model")
	out = append(named(out, "choices"), '[')
	for i, c := range r.choices {
		if i > 0 {
			out = append(out, ',')
		}
		out = c.write(out, i)
	}
	out = append(out, ']')
	last := []string{"usage", "service_tier", "system_fingerprint"}
	out = r.head.only(out, last...)
	return append(r.head.but(out, append(last, "id", "created", "model")...), '}')
}
