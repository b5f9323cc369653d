package config

import (
	"fmt"
	"slices"
	"strings"
)

// An Origin is where a value came from. The zero value means the defaults.
type Origin struct {
	Name   string // a file, an environment variable or a flag
	Line   int    // in a file, from 1; 0 elsewhere
	Column int    // in a file, from 1; 0 elsewhere
}

// String is the origin without its column, for listings: default, mnemo.yaml:12,
// MNEMO_LISTEN or --listen.
func (o Origin) String() string {
	switch {
	case o.Name == "":
		return "default"
	case o.Line == 0:
		return o.Name
	}
	return fmt.Sprintf("%s:%d", o.Name, o.Line)
}

// A Mistake is one thing that is wrong with a configuration.
type Mistake struct {
	Origin
	Key     string // of the setting, such as upstreams[0].url; "" for a whole file
	Message string // never shows a secret
}

// Error is the mistake on one line: where, which setting, what.
func (m *Mistake) Error() string {
	var parts []string
	switch {
	case m.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d:%d", m.Name, m.Line, m.Column))
	case m.Name != "":
		parts = append(parts, m.Name)
	}
	if m.Key != "" {
		parts = append(parts, m.Key)
	}
	return strings.Join(append(parts, m.Message), ": ")
}

// Private

// maxNameLength bounds the names between which a slip of the pen is looked for.
const maxNameLength = 64

// within reports whether key is the mistake's own or below it.
func (m *Mistake) within(key string) bool {
	return m.Key != "" && below(key, m.Key)
}

// suggest is " (did you mean x?)" for the candidate that word is a slip of the
// pen away from, else "".
func suggest(word string, candidates []string) string {
	best, least := "", 3
	for _, candidate := range candidates {
		if d := distance(plain(word), plain(candidate)); d < least && d < len(candidate)/2+1 {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// plain takes away what people confuse in names.
func plain(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance is the number of characters to insert, delete, replace or swap with
// their neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	if len(a) > maxNameLength || len(b) > maxNameLength {
		return maxNameLength
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// inOrder sorts mistakes as a reader meets them: down the file, then the rest.
func inOrder(mistakes []*Mistake) {
	slices.SortStableFunc(mistakes, func(a, b *Mistake) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}
