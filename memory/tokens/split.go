package tokens

import "strings"

// The two encodings cut a text into pieces by a regular expression and merge bytes
// only inside a piece. These are hand-written matchers for exactly those
// expressions, with the alternatives in their order and what backtracking would
// find worked out beforehand. Both match at least one character at the start of
// any text that is not empty.

// A splitter returns the length of the first piece of text, which is not empty.
type splitter func(t *classes, text string) int

// splitCL100K matches
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//	 ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func splitCL100K(t *classes, text string) int {
	if end := contraction(text, 0); end > 0 {
		return end
	}
	first, size := t.at(text, 0)
	if first&letter != 0 {
		return t.span(text, size, letter)
	}
	if first&(number|newline) == 0 {
		if end := t.span(text, size, letter); end > size {
			return end
		}
	}
	return splitRest(t, text, first, size, "\r\n")
}

// splitO200K matches, where U is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L is
// [\p{Ll}\p{Lm}\p{Lo}\p{M}] and S is the contractions of splitCL100K,
//
//	[^\r\n\p{L}\p{N}]?U*L+S?|[^\r\n\p{L}\p{N}]?U+L*S?|\p{N}{1,3}|
//	 ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func splitO200K(t *classes, text string) int {
	first, size := t.at(text, 0)
	if first&(letter|number|newline) == 0 {
		end, lowered := word(t, text, size)
		if !lowered && first == mark {
			// The mark is better taken as the word than as what precedes it.
			end, lowered = word(t, text, 0)
		}
		if lowered || end > size {
			return contraction(text, end)
		}
	} else if first&letter != 0 {
		end, _ := word(t, text, 0)
		return contraction(text, end)
	}
	return splitRest(t, text, first, size, "\r\n/")
}

// word matches U*L+ from text[i] on, and U+ where there is none.
func word(t *classes, text string, i int) (end int, lowered bool) {
	both := -1 // the end of the last character that is in U and in L
	for end = i; end < len(text); {
		c, size := t.at(text, end)
		if c&(upper|caseless|mark) == 0 {
			if c == lower {
				return t.span(text, end+size, lower|caseless|mark), true
			}
			break
		}
		end += size
		if c != upper {
			both = end
		}
	}
	if both >= 0 {
		return both, true
	}
	return end, false
}

// contraction returns the end of an English contraction at text[i], or i.
//
// Rust's expressions, which OpenAI uses, also take U+017F for an s here; the Go
// port and this do not. It decides a count only in 'ſ.
func contraction(text string, i int) int {
	if i+1 >= len(text) || text[i] != '\'' {
		return i
	}
	switch text[i+1] | 0x20 {
	case 's', 't', 'm', 'd':
		return i + 2
	}
	if i+2 >= len(text) {
		return i
	}
	switch string([]byte{text[i+1] | 0x20, text[i+2] | 0x20}) {
	case "re", "ve", "ll":
		return i + 3
	}
	return i
}

// splitRest matches the alternatives from \p{N}{1,3} on, which both encodings
// share but for the characters that may trail punctuation.
func splitRest(t *classes, text string, first class, size int, trail string) int {
	switch {
	case first == number:
		return digits(t, text, size)
	case first&(other|mark) != 0:
		return trailing(text, t.span(text, size, other|mark), trail)
	case text[0] == ' ':
		if end := t.span(text, 1, other|mark); end > 1 {
			return trailing(text, end, trail)
		}
	}
	return whitespace(t, text)
}

func digits(t *classes, text string, end int) int {
	for range 2 {
		if end == len(text) {
			break
		}
		c, size := t.at(text, end)
		if c != number {
			break
		}
		end += size
	}
	return end
}

func trailing(text string, end int, trail string) int {
	for end < len(text) && strings.IndexByte(trail, text[end]) >= 0 {
		end++
	}
	return end
}

// whitespace matches \s*[\r\n]+|\s+(?!\S)|\s+ where text begins with \s: up to the
// last line break, else all but the character before a word, else all.
func whitespace(t *classes, text string) int {
	end, last, broken := 0, 0, 0
	for end < len(text) {
		c, size := t.at(text, end)
		if c&blank == 0 {
			break
		}
		last = end
		end += size
		if c == newline {
			broken = end
		}
	}
	switch {
	case broken > 0:
		return broken
	case end < len(text) && last > 0:
		return last
	}
	return end
}
