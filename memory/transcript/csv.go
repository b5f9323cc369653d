package transcript

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mnemo/memory"
)

// Private

// csv writes a row for each message (RFC 4180). A text that a spreadsheet would
// take for a formula begins with an apostrophe. Lines in a cell end with \n.
type csv struct{ bom bool }

func (c csv) begin(b []byte, _ *memory.Info) []byte {
	if c.bom {
		b = append(b, "\ufeff"...)
	}
	return append(b, "seq,at,role,text,model,tokens,superseded_by\r\n"...)
}

func (csv) turn(b []byte, t *memory.Turn) []byte {
	for i := range t.Messages {
		m := &t.Messages[i]
		b = strconv.AppendInt(b, t.Seq, 10)
		b = append(b, ',')
		b = t.At.UTC().AppendFormat(b, time.RFC3339)
		b = appendCell(b, oneLine(m.Role))
		b = appendCell(b, words(m))
		b = appendCell(b, oneLine(t.Model))
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(m.Tokens), 10)
		b = append(b, ',')
		if t.SupersededBy != 0 {
			b = strconv.AppendInt(b, t.SupersededBy, 10)
		}
		b = append(b, "\r\n"...)
	}
	return b
}

func (csv) end(b []byte) []byte { return b }

// appendCell appends a cell that is not the first of its row.
func appendCell(b []byte, text string) []byte {
	b = append(b, `,"`...)
	if formula(text) {
		b = append(b, '\'')
	}
	b = append(b, strings.ReplaceAll(text, `"`, `""`)...)
	return append(b, '"')
}

// formula reports whether a spreadsheet may evaluate the text: it begins with one
// of the characters that OWASP names for CSV injection, full-width ones included.
func formula(text string) bool {
	first, size := utf8.DecodeRuneInString(text)
	return size > 0 && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first)
}
