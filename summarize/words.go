package summarize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Private

// German alone, with its kin, writes all nouns with a capital. There, a capital
// tells of a name only beside another one. One word in germanShare is among its
// most common ones.
const germanShare = 12

// wordLetters is how many letters say about as much as a character of a script
// that has one for a word or a syllable.
const wordLetters = 2

var germanWords = map[string]bool{
	"der": true, "die": true, "das": true, "und": true, "ist": true, "ich": true, "nicht": true,
	"mit": true, "ein": true, "eine": true, "zu": true, "den": true, "für": true, "auf": true,
}

var (
	// cased are the scripts that have capitals.
	cased = []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian}
	// uncased are scripts in which Latin letters stand out.
	uncased = []*unicode.RangeTable{
		unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Arabic, unicode.Hebrew,
		unicode.Thai, unicode.Devanagari, unicode.Bengali, unicode.Tamil, unicode.Georgian,
	}
)

// A token is a word of a script that has capitals.
type token struct {
	text   string
	start  bool // it begins a sentence
	joined bool // nothing but a space or a hyphen is between it and the token before
}

// tokensOf are the words of a text.
func tokensOf(text string) []token {
	var all []token
	start, end := true, 0 // whether a sentence begins; where the last word ended
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if unicode.In(r, cased...) {
			gap := text[end:i]
			end = i + wordLength(text[i:])
			all = append(all, token{text: text[i:end], start: start, joined: len(all) > 0 && (gap == " " || gap == "-")})
			start, i = false, end
			continue
		}
		switch {
		case strings.ContainsRune(".!?…:;|\n\r。！？؟“„«「『\"", r):
			start = true
		case unicode.IsLetter(r), unicode.IsNumber(r):
			start = false
		}
		i += size
	}
	return all
}

// wordLength is how far the word goes with which the text begins.
func wordLength(text string) int {
	end := strings.IndexFunc(text, func(r rune) bool { return !unicode.In(r, cased...) && !unicode.IsMark(r) })
	if end < 0 {
		return len(text)
	}
	return end
}

// capital reports whether the word begins with a capital that is not the sentence's.
func (t *token) capital() bool {
	first, _ := utf8.DecodeRuneInString(t.text)
	return !t.start && unicode.IsUpper(first)
}

// mixed reports whether the word has a capital after a small letter, as GitHub.
func (t *token) mixed() bool {
	i := strings.IndexFunc(t.text, unicode.IsLower)
	return i >= 0 && strings.ContainsFunc(t.text[i:], unicode.IsUpper)
}

// named are those tokens that are names, as far as their letters tell.
func named(all []token, nouns, foreign bool) []string {
	var found []string
	for i := range all {
		t := &all[i]
		beside := t.joined && all[i-1].capital() || i+1 < len(all) && all[i+1].joined && all[i+1].capital()
		short := utf8.RuneCountInString(t.text) < shortestName
		switch {
		case foreign && len(t.text) > 1:
		case short:
			continue
		case t.mixed():
		case !t.capital():
			continue
		case nouns && !beside:
			continue
		}
		found = append(found, t.text)
	}
	return found
}

// capitalisesNouns reports whether the texts are in German.
func capitalisesNouns(texts []string) bool {
	words, german := 0, 0
	for _, text := range texts {
		for _, t := range tokensOf(text) {
			words++
			if germanWords[strings.ToLower(t.text)] {
				german++
			}
		}
	}
	return german*germanShare > words
}

// isForeign reports whether Latin letters stand out in the text: most of it is in
// a script without capitals.
func isForeign(text string) bool {
	with, without := 0, 0
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && !unicode.IsLetter(r):
		case unicode.In(r, cased...):
			with++
		case unicode.In(r, uncased...):
			without++
		}
	}
	return without*wordLetters > with
}
