package tokens

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClasses_are_those_of_Unicode(t *testing.T) {
	table := unicodeClasses()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		want := other
		switch {
		case r == '\r' || r == '\n':
			want = newline
		case unicode.IsSpace(r):
			want = space
		case unicode.In(r, unicode.Lu, unicode.Lt):
			want = upper
		case unicode.Is(unicode.Ll, r):
			want = lower
		case unicode.In(r, unicode.Lm, unicode.Lo):
			want = caseless
		case unicode.Is(unicode.M, r):
			want = mark
		case unicode.Is(unicode.N, r):
			want = number
		}
		got, size := table.at("-"+string(r)+"-", 1)
		if got != want || size != utf8.RuneLen(r) {
			t.Fatalf("%U is in class %b and has %d bytes, not %b and %d", r, got, size, want, utf8.RuneLen(r))
		}
	}
}

func TestClasses_fit_their_index(t *testing.T) {
	if n := len(unicodeClasses().pages); n > 1<<8 {
		t.Errorf("%d different pages", n)
	}
}

func TestSpan_ends_at_the_first_character_of_another_class(t *testing.T) {
	table := unicodeClasses()
	for _, tt := range []struct {
		text string
		from int
		set  class
		end  int
	}{
		{"", 0, letter, 0},
		{"abc", 0, letter, 3},
		{"abc", 3, letter, 3},
		{"abC1", 0, lower, 2},
		{"aé中Б 1", 0, letter, 8},
		{"x中", 1, upper, 1},
		{" \t\u00a0\u3000\nx", 0, blank, 8},
		{" \t\u00a0\u3000\nx", 0, space, 7},
		{"٣²Ⅷ7x", 0, number, 8},
		{"👍\u200d🏽\ufe0f", 0, other, 11},
		{"👍\u200d🏽\ufe0f", 0, other | mark, 14},
		{"\xff\xfe", 0, other, 2},
	} {
		if end := table.span(tt.text, tt.from, tt.set); end != tt.end {
			t.Errorf("span(%q, %d, %b) = %d, not %d", tt.text, tt.from, tt.set, end, tt.end)
		}
	}
}
