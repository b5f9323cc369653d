package memory

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
	"github.com/tidwall/gjson"
)

// MaxTitle bounds a title, in characters as people see them.
const MaxTitle = 80

// Info describes a session.
type Info struct {
	Key     Key
	Title   string
	Created time.Time // in milliseconds
	Updated time.Time // the last turn, in milliseconds
	Expires time.Time // zero: never
	Seq     int64     // the sequence number of the last turn
	Totals  Totals
	Spent   Spent
	System  string
	Persona string
	Summary *Summary
}

// A Query selects sessions for a list. Sessions are ordered by Updated, Key.Session
// and Key.Tenant, all descending.
type Query struct {
	Tenant     string // the owner; "" with AllTenants
	AllTenants bool
	Search     string    // a part of the title or the id, whatever the case; "": all
	IdleSince  time.Time // only sessions whose last turn is older; zero: all
	After      *Cursor   // only sessions after it in the order; nil: from the beginning
	Limit      int       // at most; below 1: none
}

// A Cursor is a session's place in the order of a list.
type Cursor struct {
	Updated time.Time
	Key     Key
}

// Check returns ErrKey unless the query has a valid tenant or is for all.
func (q *Query) Check() error {
	if q.AllTenants && q.Tenant == "" {
		return nil
	}
	if q.AllTenants || !visible(q.Tenant) {
		return fmt.Errorf("%w: a query names one tenant", ErrKey)
	}
	return nil
}

// A Snapshot is a whole session, as it is exported and imported.
type Snapshot struct {
	Title   string
	Created time.Time
	Updated time.Time
	System  string
	Persona string
	Summary *Summary
	Turns   []Turn // all, from sequence number 1 without gaps
	// What follows, and each turn's SupersededBy, Settle derives.
	Branch int64 // the last turn that superseded others
	Totals Totals
	Spent  Spent
}

// Settle derives what follows from the turns. It returns an error that tells which
// turn is wrong if the snapshot is not one that a store could have had.
func (s *Snapshot) Settle() error {
	s.Branch, s.Totals, s.Spent = 0, Totals{}, Spent{}
	for i := range s.Turns {
		t := &s.Turns[i]
		span := t.Supersedes
		switch {
		case t.Seq != int64(i+1):
			return fmt.Errorf("turn %d stands at place %d", t.Seq, i+1)
		case len(t.Messages) == 0:
			return fmt.Errorf("turn %d has no messages", t.Seq)
		case span != Span{} && (span.First < 1 || span.Last < span.First || span.Last >= t.Seq):
			return fmt.Errorf("turn %d cannot supersede turns %d to %d", t.Seq, span.First, span.Last)
		}
		t.SupersededBy = 0
		s.Spent.Add(&t.Usage)
		if span.First == 0 {
			continue
		}
		s.Branch = t.Seq
		for j := span.First - 1; j < t.Seq-1; j++ {
			if earlier := &s.Turns[j]; earlier.SupersededBy == 0 && t.Replaces(earlier) {
				earlier.SupersededBy = t.Seq
			}
		}
	}
	size := int64(0)
	for i := range s.Turns {
		size += int64(s.Turns[i].Size())
		if s.Turns[i].SupersededBy == 0 {
			s.Totals.Add(&s.Turns[i])
		}
	}
	s.Totals.Bytes = size
	return s.settleSummary()
}

// Title is what a session that begins with the turn is called: the beginning of
// its first user message that has text, on one line; "" if there is none.
func (t *Turn) Title() string {
	for i := range t.Messages {
		if t.Messages[i].Role != RoleUser {
			continue
		}
		if title := ShortenTitle(beginning(gjson.Get(t.Messages[i].Raw, "content"))); title != "" {
			return title
		}
	}
	return ""
}

// ShortenTitle makes one line of at most MaxTitle characters of a text. It cuts at
// a word's end where there is one, and never inside a character that is composed
// of several code points (Unicode's UAX 29).
func ShortenTitle(text string) string {
	line := strings.Join(strings.FieldsFunc(text, blank), " ")
	var cut, word string
	graphemes := uniseg.NewGraphemes(line)
	for n := 0; graphemes.Next(); n++ {
		from, _ := graphemes.Positions()
		switch n {
		case MaxTitle:
			if len(word) > len(cut)/2 {
				cut = word
			}
			return cut + "…"
		case MaxTitle - 1:
			cut = line[:from]
		}
		if graphemes.Str() == " " {
			word = line[:from]
		}
	}
	return line
}

// Fold is the form in which texts are compared whatever their case.
func Fold(text string) string { return strings.ToLower(text) }

// Private

// titleSource bounds the bytes of a message that are looked at for a title.
const titleSource = 4 << 10

func (s *Snapshot) settleSummary() error {
	if s.Summary == nil {
		return nil
	}
	n := s.Summary.UpTo
	if n < 1 || n > int64(len(s.Turns)) {
		return fmt.Errorf("%w: it ends with turn %d of %d", ErrSummary, n, len(s.Turns))
	}
	last := &s.Turns[n-1]
	if s.Summary.Left < 0 || s.Summary.Left >= len(last.Messages) || last.SupersededBy != 0 {
		return fmt.Errorf("%w: turn %d cannot be its last", ErrSummary, n)
	}
	var covered Totals
	for i := range n {
		if t := s.Turns[i]; t.SupersededBy == 0 {
			if t.Seq == n {
				t.Messages = t.Messages[:len(t.Messages)-s.Summary.Left]
			}
			covered.Add(&t)
		}
	}
	if covered != s.Summary.Covered {
		return fmt.Errorf("%w: it covers %+v, the log has %+v", ErrSummary, s.Summary.Covered, covered)
	}
	return nil
}

// beginning is the first text of a content.
func beginning(content gjson.Result) (said string) {
	if content.Type == gjson.String {
		return clipped(content)
	}
	if !content.IsArray() {
		return ""
	}
	content.ForEach(func(_, part gjson.Result) bool {
		if part.Get("type").String() == "text" {
			said = clipped(part.Get("text"))
		}
		return said == ""
	})
	return said
}

// clipped is the beginning of a JSON string.
func clipped(value gjson.Result) string {
	s := value.String()
	if len(s) > titleSource {
		return strings.ToValidUTF8(s[:titleSource], "")
	}
	return s
}

func blank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
