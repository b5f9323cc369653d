package summarize

import (
	"fmt"
	"math"
	"strings"

	"mnemo/memory"
)

// What became of a job or of one of its steps.
const (
	Done        Reason = "done"        // a summary was stored
	Failed      Reason = "error"       // the model could not be asked, or panicked
	TimedOut    Reason = "timeout"     // it did not answer in time
	Cut         Reason = "cut"         // its answer ended at the limit of tokens
	Refused     Reason = "refused"     // it would not do it
	Empty       Reason = "empty"       // it said nothing
	OverLong    Reason = "over_long"   // the summary is longer than it may be, or than what it replaces
	Implausible Reason = "implausible" // the summary lacks too much of what was said
	Dropped     Reason = "dropped"     // the queue was full
	Busy        Reason = "busy"        // another job, here or in another process, has the session
	Conflict    Reason = "conflict"    // the session changed under the job again and again
	StoreFailed Reason = "store"       // the store could not be read or written
	Cancelled   Reason = "cancelled"   // who asked, or the whole Summarizer, did not wait for the end
)

// A Reason says what became of a job or of one of its steps. There are few, so that
// it can be a metric's label.
type Reason string

// A RejectedError says why there is no new summary. The old one stays.
type RejectedError struct {
	Reason Reason
	Err    error // of the completer; nil if it answered
}

func (e *RejectedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("summary rejected (%s): %v", e.Reason, e.Err)
	}
	return fmt.Sprintf("summary rejected (%s)", e.Reason)
}

// Unwrap returns the completer's error.
func (e *RejectedError) Unwrap() error { return e.Err }

// Private

const (
	// A record of n tokens is asked for; with up to half as much again it is taken.
	tolerance = 1.5
	// bytesPerToken is more than any text has that is worth counting.
	bytesPerToken = 64

	finishLength = "length"
	finishFilter = "content_filter"

	// previousShare is how much of the weight of the previous summary's values must
	// survive. They were judged durable before.
	previousShare = 0.6
	// What one message's values can demand: a pasted table is one thing that was
	// said, not hundreds, and of what tools return little is worth keeping.
	pointsPerMessage = 24
	pointsPerResult  = 8
	// tokensPerValue is about what a value takes with what is said of it.
	tokensPerValue = 8

	// A record shorter than a third of the previous one, or than a 128th of what it
	// replaces, lacks most of it, whatever the language. No record of more than a
	// 16th of the limit is too short for what it replaces.
	leastOfPrevious = 3
	leastOfReplaced = 128
	leastOfLimit    = 16
)

// A claim is a text that wants to be a summary, and what it would stand for.
type claim struct {
	answer   Completion
	text     string
	previous *memory.Summary // nil if there is none
	lines    []line
	replaced int // tokens of the messages that are folded
	limit    int // tokens that were asked for
	count    func(text string) int
}

// rejection is why the claim is not good enough; "" if it is.
func (c *claim) rejection() Reason {
	switch {
	case c.answer.Refused || c.answer.Finish == finishFilter:
		return Refused
	case c.answer.Finish == finishLength:
		return Cut
	case c.text == "":
		return Empty
	case refuses(c.text):
		return Refused
	case c.overLong():
		return OverLong
	case c.tooShort() || c.forgetful():
		return Implausible
	}
	return ""
}

// overLong also rejects what saves nothing.
func (c *claim) overLong() bool {
	most := int(tolerance * float64(c.limit))
	if len(c.text) > most*bytesPerToken || c.count(c.text) > most {
		return true
	}
	before := c.replaced
	if c.previous != nil {
		before += c.previous.Tokens
	}
	made := memory.Summary{Text: c.text}
	return c.count(made.Block()) >= before
}

func (c *claim) tooShort() bool {
	n, replaced := c.count(c.text), c.replaced
	if c.previous != nil {
		before := c.count(c.previous.Text)
		if n*leastOfPrevious < before {
			return true
		}
		replaced += before
	}
	return n < min(replaced/leastOfReplaced, c.limit/leastOfLimit)
}

// forgetful reports whether too many durable values did not survive.
func (c *claim) forgetful() bool {
	texts := make([]string, 0, len(c.lines)+1)
	for i := range c.lines {
		texts = append(texts, c.lines[i].text)
	}
	before := ""
	if c.previous != nil {
		before = c.previous.Text
	}
	nouns := capitalisesNouns(append(texts, before))
	said, earlier := recordOf(c.text), valuesOf(before, nouns)
	return said.forgetsEarlier(earlier) || said.forgetsNew(c.lines, earlier, nouns, c.limit/tokensPerValue)
}

func (r *record) forgetsEarlier(earlier values) bool {
	total, kept := earlier.points(), 0
	for v := range earlier {
		if r.holds(v) {
			kept += v.points()
		}
	}
	return total > 1 && kept < max(1, int(previousShare*float64(total)))
}

// forgetsNew asks for as many of the new values as the root of their number: a few
// of ten, some of a hundred. room is how many a summary can hold.
func (r *record) forgetsNew(lines []line, earlier values, nouns bool, room int) bool {
	seen := make(values)
	points, kept := 0, 0
	for i := range lines {
		most, own := pointsPerMessage, 0
		if lines[i].result {
			most = pointsPerResult
		}
		for v := range valuesOf(lines[i].text, nouns) {
			_, known := earlier[v]
			if _, again := seen[v]; known || again {
				continue
			}
			seen[v] = struct{}{}
			own += v.points()
			if r.holds(v) {
				kept++
			}
		}
		points += min(own, most)
	}
	demand := min(points/2, room) // a weak value is half of one
	return demand > 1 && kept < int(math.Sqrt(float64(demand)))
}

// tidy is the record in an answer, without what models put around it: their
// thoughts, and the frame that they were shown.
func tidy(answer string) string {
	text := strings.TrimSpace(strings.ToValidUTF8(answer, "\uFFFD"))
	if rest, found := strings.CutPrefix(text, "<think>"); found {
		_, after, _ := strings.Cut(rest, "</think>")
		text = strings.TrimSpace(after)
	}
	if rest, found := strings.CutPrefix(text, "<"+frame+">"); found {
		text = strings.TrimSpace(strings.TrimSuffix(rest, "</"+frame+">"))
	}
	return text
}
