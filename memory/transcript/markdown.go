package transcript

import (
	"strconv"
	"strings"

	"mnemo/memory"
)

// Private

// markdown writes each message in a fence (CommonMark, section 4.5) that is longer
// than any run of backticks in it. So it is shown as it was said: it forges no
// heading, loads no image and runs no HTML.
type markdown struct{}

func (markdown) begin(b []byte, info *memory.Info) []byte {
	title := oneLine(info.Title)
	if title == "" {
		title = info.Key.Session
	}
	b = append(append(b, "# "...), escape(title)...)
	b = append(append(b, "\n\n"...), escape(summaryLine(info))...)
	return append(b, '\n')
}

func (markdown) turn(b []byte, t *memory.Turn) []byte {
	b = append(b, "\n## "...)
	b = strconv.AppendInt(b, t.Seq, 10)
	for _, label := range labels(t) {
		b = append(append(b, " · "...), escape(label)...)
	}
	b = append(b, '\n')
	for i := range t.Messages {
		b = append(append(b, "\n### "...), escape(speaker(&t.Messages[i]))...)
		text := words(&t.Messages[i])
		fence := strings.Repeat("`", max(3, longestRun(text, '`')+1))
		b = append(append(append(b, "\n\n"...), fence...), "text\n"...)
		if text != "" {
			b = append(append(b, text...), '\n')
		}
		b = append(append(b, fence...), '\n')
	}
	return b
}

func (markdown) end(b []byte) []byte { return b }

// escape makes text of a label that is no markup (CommonMark, section 2.4).
func escape(label string) string {
	var b strings.Builder
	for _, r := range isolate(label) {
		if strings.ContainsRune("\\`*_{}[]<>#!|~&$@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// longestRun is the length of the longest run of the byte.
func longestRun(text string, c byte) (longest int) {
	run := 0
	for i := range len(text) {
		if text[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
