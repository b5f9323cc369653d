package budget

import "strings"

// Private

// A pattern is the literal parts between the stars of a text, in which * stands for any
// characters, also none. No parts match anything.
type pattern []string

func newPattern(text string) pattern {
	if text == "" {
		return nil
	}
	return strings.Split(text, "*")
}

// matches takes the leftmost place of each part, which leaves most to those after it.
func (p pattern) matches(s string) bool {
	switch len(p) {
	case 0:
		return true
	case 1:
		return s == p[0]
	}
	s, ok := strings.CutPrefix(s, p[0])
	if !ok {
		return false
	}
	last := len(p) - 1
	for _, part := range p[1:last] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, p[last])
}
