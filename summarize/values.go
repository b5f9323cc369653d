package summarize

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Private

// The kinds of durable value. Those from number on are strong: they mean one
// thing, and whoever keeps them keeps them as they are.
const (
	word       kind = iota // a name, as its capital tells
	phrase                 // what was quoted
	number                 // of three or more digits, or an amount
	date                   // with a year
	identifier             // letters with digits, dashes or underscores
	address                // of a web page or a mailbox
)

const (
	shortestName  = 3 // letters
	longestPhrase = 60
)

var (
	mailbox   = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
	link      = regexp.MustCompile("(?i)\\b(?:https?://|www\\.)[^\\s<>\"'`「」『』“”«»（）()\\p{Han}\\p{Hiragana}\\p{Katakana}\\p{Hangul}]+")
	quotation = regexp.MustCompile(`「([^「」\n]+)」|『([^『』\n]+)』|“([^“”\n]+)”|„([^„“”\n]+)[“”]|«([^«»\n]+)»|"([^"\n]+)"`)
	calendar  = regexp.MustCompile(`\b(?:\d{4} ?[-/.年] ?\d{1,2} ?[-/.月] ?\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b`)
	telephone = regexp.MustCompile(`\+\d[\d ().\-/]{6,24}\d`)
	compound  = regexp.MustCompile(`[\p{Latin}\p{Greek}\p{Cyrillic}\d]+(?:[-_]+[\p{Latin}\p{Greek}\p{Cyrillic}\d]+)*`)
	figure    = regexp.MustCompile(`(\p{Sc} ?)?\d(?:[\d.,:'_/\x{A0}\x{202F}-]*\d)?( ?[\p{Sc}%元円])?`)
	katakana  = regexp.MustCompile(`[\p{Katakana}ー]{3,}`)
	digits    = regexp.MustCompile(`\d+`)
)

type kind uint8

// A value is something said that is worth keeping word for word. The key is the
// form in which it is compared.
type value struct {
	kind kind
	key  string
}

type values map[value]struct{}

// points weighs a value: a strong one counts twice.
func (v value) points() int {
	if v.kind >= number {
		return 2
	}
	return 1
}

// points weighs all of them.
func (vs values) points() int {
	sum := 0
	for v := range vs {
		sum += v.points()
	}
	return sum
}

// valuesOf finds the durable values of a text. nouns says that the language writes
// nouns with a capital.
func valuesOf(text string, nouns bool) values {
	found := make(values)
	add := func(k kind, key string) {
		if key != "" {
			found[value{k, strings.ToLower(key)}] = struct{}{}
		}
	}
	take := func(pattern *regexp.Regexp, k kind, key func(string) string) {
		text = pattern.ReplaceAllStringFunc(text, func(match string) string {
			if made := key(match); made != "" {
				add(k, made)
				return " "
			}
			return match
		})
	}
	text = plain(text)
	take(link, address, linkKey)
	take(mailbox, address, func(match string) string { return match })
	for _, match := range quotation.FindAllStringSubmatch(text, -1) {
		add(phrase, phraseKey(strings.Join(match[1:], "")))
	}
	take(calendar, date, dateKey)
	take(telephone, number, joined)
	take(compound, identifier, identifierKey)
	for _, match := range figure.FindAllStringSubmatch(text, -1) {
		add(number, numberKey(match[0], match[1] != "" || match[2] != ""))
	}
	for _, match := range katakana.FindAllString(text, -1) {
		add(word, match)
	}
	for _, name := range named(tokensOf(text), nouns, isForeign(text)) {
		add(word, name)
	}
	return found
}

// plain is the text with digits of all scripts and letters of full width in ASCII,
// so that they compare.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf:
			return r
		case r >= '！' && r <= '～':
			return r - '！' + '!'
		case r == '’' || r == 'ʼ':
			return '\''
		}
		for _, zero := range [...]rune{'٠', '۰', '०', '০', '๐'} {
			if r >= zero && r <= zero+9 {
				return r - zero + '0'
			}
		}
		return r
	}, text)
}

func linkKey(match string) string {
	_, rest, found := strings.Cut(match, "://")
	if !found {
		rest = match
	}
	return strings.TrimPrefix(strings.TrimRight(rest, "/.,;:!?*_"), "www.")
}

func phraseKey(quoted string) string {
	quoted = strings.TrimSpace(quoted)
	if n := utf8.RuneCountInString(quoted); n < 2 || n > longestPhrase || !strings.ContainsFunc(quoted, unicode.IsLetter) {
		return ""
	}
	return quoted
}

// dateKey is the same for all orders of year, month and day.
func dateKey(match string) string {
	parts := digits.FindAllString(match, -1)
	for i := range parts {
		parts[i] = unpadded(parts[i])
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(b, a)) })
	return strings.Join(parts, "-")
}

func identifierKey(match string) string {
	letters := strings.ContainsFunc(match, unicode.IsLetter)
	numbers := len(joined(match))
	switch {
	case !letters, utf8.RuneCountInString(match) < shortestName:
		return ""
	case strings.Contains(match, "_"):
		return match
	case numbers == 0: // a hyphen alone makes compound words and double names
		return ""
	case strings.Contains(match, "-"), strings.ContainsFunc(match, unicode.IsUpper), numbers >= 3:
		return match
	}
	return ""
}

// numberKey is the same for 1,299.00 and 1299, for 1.234,50 and 1234.5.
func numberKey(match string, amount bool) string {
	groups := digits.FindAllString(match, -1)
	all := joined(match)
	if len(all) < 3 && !amount {
		return ""
	}
	last := len(groups) - 1
	switch {
	case strings.ContainsAny(match, "-/"):
		if len(all) < 5 { // a range, a fraction
			return ""
		}
		return all
	case strings.Contains(match, ":"):
		return unpadded(strings.Join(groups, ":"))
	case last == 0 || len(groups[last]) == 3:
		return all
	}
	whole := strings.Join(groups[:last], "")
	if decimals := strings.TrimRight(groups[last], "0"); decimals != "" {
		return whole + "." + decimals
	}
	return whole
}

func joined(match string) string { return strings.Join(digits.FindAllString(match, -1), "") }

func unpadded(figures string) string {
	if rest := strings.TrimLeft(figures, "0"); rest != "" {
		return rest
	}
	return figures
}
