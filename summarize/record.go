package summarize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Private

// A record is a summary's text in the forms in which values are looked for.
type record struct {
	text    string
	numbers map[string]struct{} // as numberKey makes them
	runs    map[string]struct{} // of digits, without zeros before them
}

func recordOf(text string) *record {
	r := &record{text: strings.ToLower(plain(text)), numbers: make(map[string]struct{}), runs: make(map[string]struct{})}
	for _, match := range figure.FindAllString(r.text, -1) {
		r.numbers[numberKey(match, true)] = struct{}{}
	}
	for _, match := range telephone.FindAllString(r.text, -1) {
		r.numbers[joined(match)] = struct{}{}
	}
	for _, match := range digits.FindAllString(r.text, -1) {
		r.runs[unpadded(match)] = struct{}{}
	}
	return r
}

// holds reports whether the value survived.
func (r *record) holds(v value) bool {
	switch v.kind {
	case number:
		_, whole := r.numbers[v.key]
		return whole || r.says(v.key)
	case date: // the month may have been written out
		parts := strings.Split(v.key, "-")
		return r.says(parts[0]) && (r.says(parts[1]) || r.says(parts[2]))
	case identifier:
		if strings.Contains(r.text, v.key) {
			return true
		}
		return r.saysAll(digits.FindAllString(v.key, -1)) // ORD-4471 is order 4471
	case word:
		return r.mentions(stem(v.key))
	}
	return strings.Contains(r.text, v.key)
}

func (r *record) says(figures string) bool {
	_, said := r.runs[unpadded(figures)]
	return said
}

// saysAll reports whether each of the figures is in the text, if one of them is
// long enough to mean something.
func (r *record) saysAll(figures []string) bool {
	long := false
	for _, run := range figures {
		if !r.says(run) {
			return false
		}
		long = long || len(run) > 2
	}
	return long
}

// mentions reports whether a word of the text begins so.
func (r *record) mentions(beginning string) bool {
	for rest := r.text; ; {
		i := strings.Index(rest, beginning)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(rest[:i])
		if !unicode.In(before, cased...) {
			return true
		}
		rest = rest[i+len(beginning):]
	}
}

// stem leaves out what an inflected name may change.
func stem(name string) string {
	letters := []rune(name)
	switch cut := len(letters); {
	case !unicode.In(letters[0], cased...):
		return name
	case cut >= 6:
		return string(letters[:cut-2])
	case cut >= 4 && !unicode.Is(unicode.Latin, letters[0]):
		return string(letters[:cut-1])
	}
	return name
}
