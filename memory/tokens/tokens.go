// Package tokens counts the tokens of text, of chat messages and of tool
// definitions as OpenAI's models do, and knows the context windows of models.
//
// Exact: the tokens of a text in the encodings o200k_base and cl100k_base. For
// every valid UTF-8 the count is that of tiktoken's EncodeOrdinary; names of
// special tokens are ordinary text, as they are in what a user says; a byte that
// is no UTF-8 counts as U+FFFD, which is what a model gets to see.
//
// Documented by OpenAI, and exact for text: three tokens around each message, one
// more for a name, three that open the reply ([ReplyPriming]).
//
// Estimates, never far below what is charged: tool calls (their text is exact,
// their markup is not published), tool definitions, images, audio and files. An
// image whose size can be read costs what OpenAI's rule for the model says.
//
// For models of other companies all counts are estimates; their tokenizers cut
// English into about as many tokens.
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
	m := merger{starts: make([]int32, 0, window+1), ranks: make([]uint32, 0, window)}
	n := 0
	for len(text) > 0 {
		end := v.split(v.classes, text)
		n += v.count(&m, text[:end])
		text = text[end:]
	}
	return n
}
