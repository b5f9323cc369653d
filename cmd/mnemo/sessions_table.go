package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"mnemo/proxy/manage"
)

// A table is rows of cells in columns of a terminal, of which a Chinese character
// takes two.
type table struct {
	head  []string
	right []bool // of each column: its cells end together
	rows  [][]string
}

// write writes the table with columns as wide as their widest cells.
func (t *table) write(w io.Writer) error {
	rows := append([][]string{t.head}, t.rows...)
	widths := make([]int, len(t.head))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	var s strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell))
			if t.right[i] {
				line.WriteString(gap + cell)
			} else {
				line.WriteString(cell + gap)
			}
			line.WriteString("  ")
		}
		s.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// Private

// fit cuts a text to so many columns, at the end of a character as people see it.
func fit(text string, columns int) string {
	if uniseg.StringWidth(text) <= columns {
		return text
	}
	width, end := 0, 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if width += g.Width(); width > columns-1 {
			break
		}
		_, end = g.Positions()
	}
	return strings.TrimRight(text[:end], " ") + "…"
}

// printable makes one line of a text that others wrote: what could steer a terminal
// or turn the direction of writing is replaced.
func printable(text string) string { return harmless(text, false) }

// printableLines is printable for a text of several lines.
func printableLines(text string) string { return harmless(text, true) }

func harmless(text string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'):
			return r
		case unicode.IsSpace(r) && r != '\u0085':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar:
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// ago is how long ago something was.
func ago(at, now time.Time) string {
	d := now.Sub(at)
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 2*24*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	case d < 100*24*time.Hour:
		return fmt.Sprintf("%d d ago", d/(24*time.Hour))
	}
	return at.UTC().Format(time.DateOnly)
}

// costOf is what a session cost, in dollars and hundredths of a cent; a plus sign
// says that there are turns whose price is not known.
func costOf(c *manage.Cost) string {
	if c.USD == nil {
		return "?"
	}
	dollars, err := strconv.ParseFloat(*c.USD, 64)
	if err != nil {
		return printable(*c.USD)
	}
	text := "$" + strconv.FormatFloat(dollars, 'f', 4, 64)
	if c.UnpricedTurns > 0 {
		text += "+"
	}
	return text
}

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// printLine prints JSON on one line.
func printLine(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}
