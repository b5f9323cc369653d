package transcript

import (
	"strconv"
	"strings"
	"time"

	"mnemo/memory"
)

// Private

const (
	clock  = "2006-01-02 15:04:05 UTC"
	indent = "    "
)

// plainText writes for people who read text as it is. What is said is indented, so
// that no message looks like the label of another.
type plainText struct{}

func (plainText) begin(b []byte, info *memory.Info) []byte {
	if title := oneLine(info.Title); title != "" {
		b = append(append(b, isolate(title)...), '\n')
	}
	return append(append(b, summaryLine(info)...), '\n')
}

func (plainText) turn(b []byte, t *memory.Turn) []byte {
	b = append(b, "\n#"...)
	b = strconv.AppendInt(b, t.Seq, 10)
	for _, label := range labels(t) {
		b = append(append(b, " · "...), isolate(label)...)
	}
	b = append(b, '\n')
	for i := range t.Messages {
		b = append(append(b, isolate(speaker(&t.Messages[i]))...), ":\n"...)
		for line := range strings.SplitSeq(words(&t.Messages[i]), "\n") {
			if line != "" {
				b = append(append(b, indent...), isolate(line)...)
			}
			b = append(b, '\n')
		}
	}
	return b
}

func (plainText) end(b []byte) []byte { return b }

// summaryLine says which session it is.
func summaryLine(info *memory.Info) string {
	return "session " + info.Key.Session + " · " + clockTime(info.Created) + " to " + clockTime(info.Updated)
}

// labels are what is said of a turn.
func labels(t *memory.Turn) []string {
	out := []string{clockTime(t.At)}
	if model := oneLine(t.Model); model != "" {
		out = append(out, model)
	}
	if t.Partial {
		out = append(out, "partial")
	}
	if t.SupersededBy != 0 {
		out = append(out, "superseded by #"+strconv.FormatInt(t.SupersededBy, 10))
	}
	return out
}

func clockTime(t time.Time) string { return t.UTC().Format(clock) }
