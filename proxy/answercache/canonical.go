package answercache

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	// maxDepth is how deep arrays and objects may stand in one another.
	maxDepth = 128
	// maxMoves bounds the work of sorting members that stand in one another: so many
	// times the text's length may be moved.
	maxMoves = 16
)

// Private

// A scanner writes a JSON text (RFC 8259) anew, without the white space between its
// tokens. Strings, names and numbers keep their literals: what is equal to a model
// may get two spellings here, but two texts never get the same one. It is strict:
// no two members of an object have the same name, whichever way that is escaped.
type scanner struct {
	text string
	at   int
	out  []byte

	open    []field // of the objects that are being read
	depth   int
	scratch []byte
	moves   int // bytes that may still be moved
}

// A field is a member of an object: its name, and where name and value stand in out.
type field struct {
	name     string
	from, to int
}

// compact returns a text without white space between its tokens, if it is one
// JSON value.
func compact(text string) (string, bool) {
	s := scanner{text: text, out: make([]byte, 0, len(text))}
	if !s.value(false) || !s.ended() {
		return "", false
	}
	return string(s.out), true
}

// ended reports whether nothing but white space is left.
func (s *scanner) ended() bool {
	s.blank()
	return s.at == len(s.text)
}

// value copies the next value. If it is sorted, so are the members of all objects
// in it, but for those of schemas.
func (s *scanner) value(sorted bool) (ok bool) {
	s.blank()
	if s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '{':
		return s.object(sorted, nil)
	case '[':
		return s.array(sorted)
	case '"':
		return s.quoted()
	default:
		return s.scalar()
	}
}

// object copies an object, without the members that skip names.
func (s *scanner) object(sorted bool, skip func(name string) bool) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	first, start := len(s.open), len(s.out)
	s.out = append(s.out, '{')
	s.at++
	for more := !s.take('}'); more; more = !s.take('}') {
		if len(s.open) > first && !s.take(',') {
			return false
		}
		before := len(s.out)
		if before > start+1 {
			s.out = append(s.out, ',')
		}
		from := len(s.out)
		s.blank()
		at := s.at
		if !s.quoted() {
			return false
		}
		name := unquoted(s.text[at:s.at])
		if !s.take(':') {
			return false
		}
		s.out = append(s.out, ':')
		if !s.value(sorted && !inOrder(name)) {
			return false
		}
		if skip != nil && skip(name) {
			s.out = s.out[:before]
			from = before
		}
		s.open = append(s.open, field{name, from, len(s.out)})
	}
	s.out = append(s.out, '}')
	ok := s.settle(start, s.open[first:], sorted)
	s.open = s.open[:first]
	s.depth--
	return ok
}

// settle sorts the members of the object that out ends with, and reports whether
// they have names of their own.
func (s *scanner) settle(start int, fields []field, sorted bool) bool {
	byName := func(a, b field) int { return strings.Compare(a.name, b.name) }
	inPlace := slices.IsSortedFunc(fields, byName)
	if !inPlace {
		slices.SortFunc(fields, byName)
	}
	for i := 1; i < len(fields); i++ {
		if fields[i].name == fields[i-1].name {
			return false
		}
	}
	if inPlace || !sorted {
		return true
	}
	if s.moves -= len(s.out) - start; s.moves < 0 {
		return false
	}
	s.scratch = append(s.scratch[:0], s.out[start:]...)
	s.out = s.out[:start+1]
	for _, f := range fields {
		if f.from == f.to {
			continue // skipped
		}
		if len(s.out) > start+1 {
			s.out = append(s.out, ',')
		}
		s.out = append(s.out, s.scratch[f.from-start:f.to-start]...)
	}
	s.out = append(s.out, '}')
	return true
}

func (s *scanner) array(sorted bool) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	s.out = append(s.out, '[')
	s.at++
	for more, first := !s.take(']'), true; more; more, first = !s.take(']'), false {
		if !first {
			if !s.take(',') {
				return false
			}
			s.out = append(s.out, ',')
		}
		if !s.value(sorted) {
			return false
		}
	}
	s.out = append(s.out, ']')
	s.depth--
	return true
}

// quoted copies a string.
func (s *scanner) quoted() bool {
	if s.at == len(s.text) || s.text[s.at] != '"' {
		return false
	}
	raw := s.text[s.at:stringEnd(s.text, s.at+1)]
	s.at += len(raw)
	s.out = append(s.out, raw...)
	return gjson.Valid(raw)
}

// unquoted is what a string says.
func unquoted(literal string) string {
	if strings.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1]
	}
	return gjson.Parse(literal).Str
}

// scalar copies a number, true, false or null.
func (s *scanner) scalar() bool {
	n := strings.IndexAny(s.text[s.at:], ",]} \t\r\n")
	if n < 0 {
		n = len(s.text) - s.at
	}
	raw := s.text[s.at : s.at+n]
	s.at += n
	s.out = append(s.out, raw...)
	return gjson.Valid(raw)
}

// take passes over white space and, if it comes then, over c.
func (s *scanner) take(c byte) bool {
	s.blank()
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) blank() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// inOrder reports whether a member holds schemas: a model fills in what they
// describe in the order in which they do.
func inOrder(name string) bool {
	return name == "tools" || name == "functions" || name == "response_format"
}

// stringEnd returns where the string ends whose inside begins at from, its quote
// included, or the end of the text.
func stringEnd(text string, from int) int {
	for at := from; ; {
		n := strings.IndexByte(text[at:], '"')
		if n < 0 {
			return len(text)
		}
		at += n + 1
		escapes := 0
		for at-2-escapes >= from && text[at-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
	}
}
