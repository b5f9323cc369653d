package upstream

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Private

// Texts are kept as they stand inside JSON strings, escapes and all, because only
// the joined escapes of a character that was cut between two chunks make sense.
// They are compared in CESU-8 (Unicode Technical Report 26), in which one text is
// written in one way and halves of surrogate pairs can be joined, too.

// appendCESU appends the text inside a JSON string, in CESU-8.
func appendCESU(dst []byte, inside string) []byte {
	for inside != "" {
		text, n, size := unit(inside)
		dst = append(dst, text[:n]...)
		inside = inside[size:]
	}
	return dst
}

// split cuts the inside of a JSON string behind n bytes of its CESU-8.
func split(inside string, n int) (head, tail string) {
	at := 0
	for n > 0 && at < len(inside) {
		text, has, size := unit(inside[at:])
		switch {
		case n == 3 && has == 6:
			return inside[:at] + escape(text[:3]), escape(text[3:]) + inside[at+size:]
		case n < has:
			return inside[:at] + string(text[:n]), string(text[n:has]) + inside[at+size:]
		}
		n -= has
		at += size
	}
	return inside[:at], inside[at:]
}

// escape is half a surrogate pair as JSON has it.
func escape(half []byte) string {
	return fmt.Sprintf(`\u%04x`, 0xd000|rune(half[1]&0x3f)<<6|rune(half[2]&0x3f))
}

// unit reads the first character of the inside of a JSON string, which takes size
// bytes of it and n of CESU-8.
func unit(inside string) (text [6]byte, n, size int) {
	r, size := rune(inside[0]), 1
	switch {
	case r == '\\' && len(inside) > 1:
		if r, size = unescape(inside[1:]); size == 0 {
			r, size = '\\', 1
		}
	case r >= utf8.RuneSelf:
		if r, size = utf8.DecodeRuneInString(inside); r == utf8.RuneError && size == 1 {
			text[0] = inside[0]
			return text, 1, 1
		}
	}
	if high, low := utf16.EncodeRune(r); r > 0xffff {
		three(text[:3], high)
		three(text[3:], low)
		return text, 6, size
	}
	switch {
	case r < utf8.RuneSelf:
		text[0] = byte(r)
		return text, 1, size
	case r < 0x800:
		text[0], text[1] = 0xc0|byte(r>>6), 0x80|byte(r)&0x3f
		return text, 2, size
	}
	three(text[:3], r)
	return text, 3, size
}

func three(dst []byte, r rune) {
	dst[0], dst[1], dst[2] = 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f
}

// unescape reads what follows a backslash. size counts the backslash; it is 0 if
// this is no escape.
func unescape(s string) (r rune, size int) {
	if s[0] != 'u' {
		if i := strings.IndexByte(`"\/bfnrt`, s[0]); i >= 0 {
			return rune("\"\\/\b\f\n\r\t"[i]), 2
		}
		return 0, 0
	}
	if len(s) < 5 {
		return 0, 0
	}
	for _, c := range []byte(s[1:5]) {
		i := strings.IndexByte("0123456789abcdef", c|0x20)
		if i < 0 {
			return 0, 0
		}
		r = r<<4 | rune(i)
	}
	return r, 6
}

// trimmed is the inside of a JSON string without white space at its end. It is
// not whole if it ends with half a character.
func trimmed(inside string) (head string, whole bool) {
	end, half := 0, false
	for at := 0; at < len(inside); {
		text, n, size := unit(inside[at:])
		at += size
		half = n == 3 && text[0] == 0xed && text[1]&0xf0 == 0xa0
		if n > 1 || !strings.ContainsRune(" \t\r\n", rune(text[0])) {
			end = at
		}
	}
	return inside[:end], !half
}
