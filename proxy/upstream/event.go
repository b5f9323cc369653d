package upstream

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// Private

type findingKind uint8

const (
	quiet  findingKind = iota // nothing yet that a client would miss
	spoken                    // content, or what cannot be told from it
	failed                    // an error in place of content
)

// A finding is what the first events of a stream come to.
type finding struct {
	kind  findingKind
	fault fault // of a failed one
	whole bool  // it is of the whole answer
}

// An eventScanner reads the events of a growing buffer as the HTML standard
// writes them (§9.2.6), until one is not quiet.
type eventScanner struct {
	found  finding
	events int

	at   int  // what comes before was read
	cr   bool // with a carriage return, whose line feed may follow
	name string
	data []byte
}

// scan goes on with a buffer that begins with what it was called with before.
func (s *eventScanner) scan(held []byte) {
	for s.found.kind == quiet {
		rest := held[s.at:]
		if s.cr && len(rest) > 0 {
			s.cr = false
			if rest[0] == '\n' {
				s.at++
				continue
			}
		}
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			return
		}
		s.at += end + 1
		s.cr = rest[end] == '\r'
		s.line(rest[:end])
	}
}

// end takes what was cut off from its blank line for a last event, as lenient
// clients do.
func (s *eventScanner) end(held []byte) {
	s.scan(append(bytes.Clone(held), "\n\n"...))
}

func (s *eventScanner) line(line []byte) {
	if len(line) == 0 {
		if s.data != nil {
			s.events++
			s.found = judge(s.name, s.data)
		}
		s.name, s.data = "", nil
		return
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		s.name = string(value)
	case "data":
		if s.data != nil {
			s.data = append(s.data, '\n')
		}
		s.data = append(s.data, value...)
	}
}

// judge tells what an event is to somebody who waits for content. An error that
// the same body must meet elsewhere, too, is content: it is for the client.
func judge(name string, data []byte) finding {
	if !gjson.ValidBytes(data) {
		return finding{kind: spoken} // also [DONE]
	}
	event := gjson.ParseBytes(data)
	if e := event.Get("error"); e.Type != gjson.Null || name == "error" {
		fault := faultOf(data)
		if fault.final() {
			return finding{kind: spoken}
		}
		return finding{kind: failed, fault: fault}
	}
	choices := event.Get("choices")
	if !choices.IsArray() {
		return finding{kind: spoken}
	}
	found := finding{kind: quiet}
	choices.ForEach(func(_, choice gjson.Result) bool {
		if speaks(choice) {
			found.kind = spoken
		}
		return found.kind == quiet
	})
	return found
}

// speaks reports whether a choice has more than a role.
func speaks(choice gjson.Result) bool {
	if !empty(choice.Get("finish_reason")) || !empty(choice.Get("text")) {
		return true
	}
	found := false
	choice.Get("delta").ForEach(func(name, value gjson.Result) bool {
		found = name.Str != "role" && !empty(value)
		return !found
	})
	return found
}

func empty(v gjson.Result) bool {
	switch v.Raw {
	case "", "null", `""`, "[]", "{}":
		return true
	}
	return false
}
