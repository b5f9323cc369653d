package tokens

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
)

// The published expressions.
var expressions = map[*vocabulary]string{
	cl100k: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	o200k: `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
}

func pieces(v *vocabulary, text string) (all []string) {
	t := unicodeClasses()
	for len(text) > 0 {
		end := v.split(t, text)
		all = append(all, text[:end])
		text = text[end:]
	}
	return all
}

func matches(tb testing.TB, expression *regexp2.Regexp, text string) (all []string) {
	tb.Helper()
	m, err := expression.FindStringMatch(text)
	for ; m != nil && err == nil; m, err = expression.FindNextMatch(m) {
		all = append(all, m.String())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestSplit_cuts_where_the_expression_does(t *testing.T) {
	for _, v := range vocabularies {
		expression := regexp2.MustCompile(expressions[v], regexp2.None)
		random := rand.New(rand.NewPCG(5, 6))
		texts := append(slices.Clone(corpus), strings.Join(corpus, " "))
		for range 10_000 {
			texts = append(texts, randomText(random, alphabet, 1+random.IntN(16)))
		}
		for _, text := range texts {
			if got, want := pieces(v, text), matches(t, expression, text); !slices.Equal(got, want) {
				t.Fatalf("%s cuts %q into\n%q, not\n%q", v.name, text, got, want)
			}
		}
	}
}

func TestSplit_keeps_every_byte(t *testing.T) {
	for _, v := range vocabularies {
		for _, text := range append(slices.Clone(corpus), "\xff", "a\xc3 \xe4\xb8'", "'\xf0\x9f") {
			if got := strings.Join(pieces(v, text), ""); got != text {
				t.Errorf("%s makes %q of %q", v.name, got, text)
			}
		}
	}
}

func TestSplit_treats_the_special_cases_as_documented(t *testing.T) {
	for _, tt := range []struct{ text, o200k, cl100k string }{
		{"I'm HERE'S x", "I'm| HERE'S| x", "I|'m| HERE|'S| x"},
		{"camelCase HTTPServer", "camel|Case| HTTPServer", "camelCase| HTTPServer"},
		{"1234567 x1", "123|456|7| x|1", "123|456|7| x|1"},
		{"a   b", "a|  | b", "a|  | b"},
		{"a   ", "a|   ", "a|   "},
		{"a \n\n  b", "a| \n\n| | b", "a| \n\n| | b"},
		{"//\n/x", "//\n/|x", "//\n|/x"},
		{"!!\r\n\r\nx", "!!\r\n\r\n|x", "!!\r\n\r\n|x"},
		{"(foo)", "(foo|)", "(foo|)"},
		{"\u0301AB", "\u0301|AB", "\u0301AB"},
		{"नमस्ते", "नमस्ते", "नमस|\u094dत|\u0947"},
		{"ABCदD", "ABCद|D", "ABCदD"},
	} {
		if got := strings.Join(pieces(o200k, tt.text), "|"); got != tt.o200k {
			t.Errorf("o200k_base cuts %q into %q, not %q", tt.text, got, tt.o200k)
		}
		if got := strings.Join(pieces(cl100k, tt.text), "|"); got != tt.cl100k {
			t.Errorf("cl100k_base cuts %q into %q, not %q", tt.text, got, tt.cl100k)
		}
	}
}

// A piece that is cut short again and again must not be looked through each time.
func TestSplit_of_a_huge_run_ends(t *testing.T) {
	const length = 1 << 20
	for name, text := range map[string]string{
		"capitals":             strings.Repeat("A", length),
		"an ideograph first":   "中" + strings.Repeat("A", length),
		"ideographs between":   strings.Repeat("中A", length/4),
		"marks before letters": strings.Repeat("\u0301A", length/3),
		"blanks":               strings.Repeat(" ", length) + "x",
		"a line break first":   "\n" + strings.Repeat(" ", length),
		"apostrophes":          strings.Repeat("'", length),
		"digits":               strings.Repeat("7", length),
	} {
		for _, v := range vocabularies {
			if n := len(pieces(v, text)); n == 0 || n > length {
				t.Errorf("%s cuts %s into %d pieces", v.name, name, n)
			}
		}
	}
}
