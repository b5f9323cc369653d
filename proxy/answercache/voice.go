package answercache

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Private

// A voice is a choice as its chunks tell of it.
type voice struct {
	begin    string // how it begins in each chunk
	others   []byte // members for the last chunk, each with a comma before it
	logprobs string // their literal; "" if there are none
	lists    []probs
	told     bool // some of them
}

// probs are a member of the log probabilities; most are lists of tokens.
type probs struct {
	name    string
	literal string
	tokens  []gjson.Result // that are still to be told
	told    bool           // some of them
	length  int            // of the text that those are about
}

func newVoice(choice gjson.Result) *voice {
	v := &voice{begin: `{"index":` + choice.Get("index").Raw + `,"delta":`}
	choice.ForEach(func(key, value gjson.Result) bool {
		switch name := key.String(); name {
		case "index", "message", "finish_reason":
		case "logprobs":
			v.logprobs = value.Raw
		default:
			v.others = append(named(v.others, name), value.Raw...)
		}
		return true
	})
	logprobs := choice.Get("logprobs")
	if !logprobs.IsObject() {
		v.told = true // all that there is
		return v
	}
	logprobs.ForEach(func(key, value gjson.Result) bool {
		p := probs{name: key.String(), literal: value.Raw}
		if value.IsArray() {
			p.tokens = value.Array()
		}
		v.lists = append(v.lists, p)
		return true
	})
	return v
}

// delta is the voice's part of a chunk.
func (v *voice) delta(delta []byte, logprobs, finish string) []byte {
	out := append([]byte(v.begin), delta...)
	if logprobs != "" {
		out = append(append(out, `,"logprobs":`...), logprobs...)
	}
	return append(append(append(out, `,"finish_reason":`...), finish...), '}')
}

// silence is said of log probabilities where there is nothing to say.
func (v *voice) silence() string {
	if v.logprobs == "" {
		return ""
	}
	return "null"
}

// probs are those of a text up to its byte end that have not been told.
func (v *voice) probs(name string, end int) string {
	var said []string
	for i := range v.lists {
		p := &v.lists[i]
		if p.name != name {
			continue
		}
		for len(p.tokens) > 0 && p.length < end {
			said = append(said, p.tokens[0].Raw)
			p.length += max(1, len(p.tokens[0].Get("token").Raw)-len(`""`))
			p.tokens, p.told, v.told = p.tokens[1:], true, true
		}
	}
	if len(said) == 0 {
		return v.silence()
	}
	return v.with(func(p *probs) string {
		if p.name == name {
			return "[" + strings.Join(said, ",") + "]"
		}
		return "null"
	})
}

// rest is what has not been told at the end: tokens that no text was about, and
// what is no list.
func (v *voice) rest() string {
	left := !v.told
	for _, p := range v.lists {
		left = left || p.literal != "null" && (!p.told || len(p.tokens) > 0)
	}
	if !left {
		return v.silence()
	}
	return v.with(func(p *probs) string {
		if !p.told {
			return p.literal
		}
		said := make([]string, len(p.tokens))
		for i, token := range p.tokens {
			said[i] = token.Raw
		}
		return "[" + strings.Join(said, ",") + "]"
	})
}

func (v *voice) with(value func(p *probs) string) string {
	out := []byte{'{'}
	for i := range v.lists {
		out = append(named(out, v.lists[i].name), value(&v.lists[i])...)
	}
	return string(append(out, '}'))
}
