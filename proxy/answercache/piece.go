package answercache

import (
	"strings"
	"unicode/utf8"
)

// pieceSize is about how many bytes of a text go in one event.
const pieceSize = 64

// Private

// pieceEnd returns where the next piece of a JSON string's inside ends. Neither an
// escape nor a character is cut, and no surrogate pair: clients show pieces as they
// come.
func pieceEnd(inside string, at int) int {
	end := at
	for end < len(inside) && end-at < pieceSize {
		end += unit(inside[end:])
	}
	return end
}

// unit is the length of the character or escape that s begins with.
func unit(s string) int {
	switch {
	case s[0] != '\\':
		_, n := utf8.DecodeRuneInString(s)
		return n
	case !strings.HasPrefix(s, `\u`) || len(s) < 6:
		return min(2, len(s))
	case len(s) >= 12 && isSurrogate(s, "89ab") && isSurrogate(s[6:], "cdef"):
		return 12
	}
	return 6
}

// isSurrogate reports whether s begins with the escape of a surrogate whose third
// digit of four is one of those.
func isSurrogate(s, second string) bool {
	return s[:2] == `\u` && s[2]|0x20 == 'd' && strings.IndexByte(second, s[3]|0x20) >= 0
}
