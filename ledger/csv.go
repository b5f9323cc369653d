package ledger

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// WriteCSV writes a report as CSV (RFC 4180): a header, and a row for each group. The
// columns are the dimensions in the order of the query and then those of Columns, but for
// costs, which are in USD, exact, and empty where no call has a known one. A text that a
// spreadsheet would take for a formula begins with an apostrophe.
func WriteCSV(w io.Writer, r *Report) error {
	b := make([]byte, 0, 4096)
	for i, d := range r.GroupBy {
		b = append(separate(b, i), d...)
	}
	for i, name := range Columns() {
		if costs(name) {
			name += "_usd"
		}
		b = append(separate(b, len(r.GroupBy)+i), name...)
	}
	b = append(b, "\r\n"...)
	for i := range r.Rows {
		b = appendRow(b, r.GroupBy, &r.Rows[i])
		if len(b) > cap(b)/2 || i == len(r.Rows)-1 {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("write CSV: %w", err)
			}
			b = b[:0]
		}
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// Private

func costs(column string) bool { return strings.Contains(column, "cost") }

func separate(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

func appendRow(b []byte, by []Dimension, row *Row) []byte {
	for i, d := range by {
		b = separate(b, i)
		if text, ok := row.text(d); ok {
			b = appendText(b, text)
			continue
		}
		b = row.Time.AppendFormat(b, time.RFC3339)
	}
	values := row.Values()
	for i, name := range Columns() {
		b = separate(b, len(by)+i)
		switch {
		case !costs(name):
			b = strconv.AppendInt(b, *values[i], 10)
		case row.priced(name):
			b = appendUSD(b, *values[i])
		}
	}
	return append(b, "\r\n"...)
}

// text is a group's place in a dimension that is no time.
func (g *Group) text(d Dimension) (string, bool) {
	switch d {
	case ByModel:
		return g.Model, true
	case BySession:
		return g.Session, true
	case ByTenant:
		return g.Tenant, true
	case ByUpstream:
		return g.Upstream, true
	case ByKey:
		return g.Key, true
	case ByOperation:
		return g.Operation, true
	}
	return "", false
}

// priced reports whether the cost in a column is known of any call.
func (s *Sums) priced(column string) bool {
	if column == "cost" {
		return s.Cost > 0 || s.Unpriced < s.Calls
	}
	return s.Full.Priced > 0
}

// appendText appends a text in quotes.
func appendText(b []byte, text string) []byte {
	b = append(b, '"')
	if first, size := utf8.DecodeRuneInString(text); size > 0 && strings.ContainsRune(formula, first) {
		b = append(b, '\'')
	}
	b = append(b, strings.ReplaceAll(text, `"`, `""`)...)
	return append(b, '"')
}

// formula is what OWASP names for CSV injection, full-width signs included.
const formula = "=+-@\t\r\n＝＋－＠"

// appendUSD appends nano-dollars as dollars.
func appendUSD(b []byte, nanos int64) []byte {
	const dollar = 1_000_000_000
	if nanos < 0 {
		b, nanos = append(b, '-'), -nanos
	}
	b = strconv.AppendInt(b, nanos/dollar, 10)
	if fraction := nanos % dollar; fraction != 0 {
		b = append(b, '.')
		b = append(b, strings.TrimRight(strconv.FormatInt(dollar+fraction, 10)[1:], "0")...)
	}
	return b
}
