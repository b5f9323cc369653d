// Package tokens counts the tokens of text, of chat messages and of tool
// definitions as OpenAI's models do, and knows the context windows of models.
//
// Exact: the tokens of a text in the encodings o200k_base and cl100k_base. For
// valid UTF-8 the count is that of the Go port's EncodeOrdinary; names of special
// tokens are ordinary text, as they are in what a user says; a byte that is no
// UTF-8 counts as U+FFFD, which is what a model gets to see. Two exceptions are
// possible in principle, and no text that has one is known: see widest and key.
//
// Documented by OpenAI, and exact for text: three tokens around each message, one
// more for a name, three that open the reply ([ReplyPriming]).
//
// Estimates: tool calls (their text is exact, their markup is assumed), tool
// definitions (meant to be above what is charged), images, audio and files. The
// size of an image in the message is read and OpenAI's rule for the family of
// models is applied; a family without a rule of its own here, such as gpt-5.1 and
// later, has that of gpt-4o. Audio and files go by rough figures for a second and
// a page.
//
// For models of other companies every count is an estimate, which may be low.
package tokens

import (
	"strings"
	"unicode/utf8"
)

// An Encoding counts as one family of models does. It may be used by many
// goroutines. The values are those that For returns.
type Encoding struct {
	vocabulary *vocabulary
	image      imageRule
}

// Name returns the name of the encoding, as "o200k_base".
func (e *Encoding) Name() string { return e.vocabulary.name }

// Preload reads the vocabulary, which takes some 20 ms and 6 MB, unless that has
// been done. Without it the first count does it.
func (e *Encoding) Preload() { e.vocabulary.load() }

// Count returns the number of tokens of text.
func (e *Encoding) Count(text string) int {
	v := e.vocabulary
	v.load()
	if !utf8.ValidString(text) {
		text = strings.Map(func(r rune) rune { return r }, text) // writes U+FFFD
	}
	var m merger
	n := 0
	for len(text) > 0 {
		end := v.split(v.classes, text)
		n += v.count(&m, text[:end])
		text = text[end:]
	}
	return n
}
