package budget

import (
	"regexp"
	"strings"
	"testing"
)

func TestPattern_takes_a_star_for_any_characters(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "anything", true},
		{"", "", true},
		{"*", "", true},
		{"gpt-4o", "gpt-4o", true},
		{"gpt-4o", "gpt-4o-mini", false},
		{"gpt-*", "gpt-4o", true},
		{"gpt-*", "a gpt-4o", false},
		{"*-mini", "gpt-4o-mini", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*b", "ab", false},
		{"a*b*b", "abxb", true},
		{"*a*a*", "a", false},
		{"**", "x", true},
		{"[a]*", "a", false},
		{"openai/*", "openai/gpt/4", true},
	} {
		if got := newPattern(c.pattern).matches(c.text); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.text, got)
		}
	}
}

func FuzzPattern_agrees_with_a_regular_expression(f *testing.F) {
	f.Add("a*b", "axb")
	f.Add("*ab*ab", "abab")
	f.Fuzz(func(t *testing.T, text, s string) {
		if text == "" || len(text)+len(s) > 1000 {
			return
		}
		want, err := regexp.Compile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + "$")
		if err != nil {
			return // not UTF-8
		}
		if got := newPattern(text).matches(s); got != want.MatchString(s) {
			t.Fatalf("%q matches %q: %v", text, s, got)
		}
	})
}
