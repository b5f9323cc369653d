package transcript

import (
	"strings"

	"golang.org/x/text/unicode/bidi"
)

// Private

// Isolates of Unicode's bidirectional algorithm (UAX 9, section 2.4).
const (
	lri = '\u2066'
	fsi = '\u2068'
	pdi = '\u2069'
)

// isolate encloses a line that has right-to-left text in an isolate, so that it
// does not reorder what stands beside it. The isolates in the line itself are
// balanced: none ends the one around it.
func isolate(line string) string {
	if !strings.ContainsFunc(line, turns) {
		return line
	}
	var b strings.Builder
	b.Grow(len(line) + 6)
	b.WriteRune(fsi)
	open := 0
	for _, r := range line {
		switch {
		case r >= lri && r <= fsi:
			open++
		case r == pdi && open == 0:
			continue
		case r == pdi:
			open--
		}
		b.WriteRune(r)
	}
	for range open + 1 {
		b.WriteRune(pdi)
	}
	return b.String()
}

// turns reports whether a character can turn the direction of a line.
func turns(r rune) bool {
	if r < '\u0590' { // the first block that is written from right to left
		return false
	}
	properties, _ := bidi.LookupRune(r)
	switch class := properties.Class(); class {
	case bidi.R, bidi.AL, bidi.AN:
		return true
	default:
		return class > bidi.Control // embeddings, overrides and isolates
	}
}
