package memory

import (
	"slices"
	"time"
)

// The states of a session's summary in a prompt.
const (
	SummaryNone    SummaryState = iota
	SummaryUsed                 // it stands for what is left out
	SummaryPending              // what is left out is not in it yet
)

// A SummaryState says what a prompt makes of the session's summary.
type SummaryState uint8

// RetryWindow is how long after an answer SDKs repeat a call whose answer was lost:
// OpenAI's wait 8 s at most.
const RetryWindow = 20 * time.Second

// Incoming is what a chat request brings, parsed once.
type Incoming struct {
	Persona  []Message // instructions that are sent before all others and not kept
	System   []Message // its system and developer messages, in order
	Messages []Message // all others, in order
	Fixed    []string  // the raw JSON of tools, functions and response_format, which take room in the prompt
	// Retry says that the client repeats a call of which it got no answer. It is taken
	// for the last turn's if that was answered within RetryWindow before At.
	Retry bool
	At    time.Time // of the request; zero: any turn may be meant
}

// A Prompt is the messages to send and what memory had to do with them.
type Prompt struct {
	// System is sent first: the persona, then the request's own instructions, or
	// else the session's latest. The last message ends with the summary.
	System  []Message
	History []*Message // stored messages, oldest first; the session's own, not to be changed
	// New is what the request adds to the log, sent as it came. Messages that had
	// to be counted carry their counts.
	New     []Message
	Overlap int // how many messages at the request's beginning the log already held
	Groups  int // stored groups that are sent
	Dropped int // all other groups of the log
	// Tokens is what memory added: the history, the summary, and the persona and the
	// session's instructions where they stand in for the request's (these by their
	// Bound until counted once).
	Tokens  int
	Summary SummaryState
	// Fold is where the next summary should end: with all that is left out. The
	// zero value: the summary there is will do.
	Fold Position

	// instructions is System as it was before the summary was added.
	instructions []Message
	summary      int // tokens of the summary in System
}

// Unsent is how many tokens more the prompt would have with the whole history, of so
// many tokens, and without the summary that stands for a part of it; 0 if it would not
// have more.
func (p *Prompt) Unsent(history int64) int {
	left := history - int64(p.summary)
	for _, m := range p.History {
		left -= int64(m.Tokens)
	}
	return int(max(left, 0))
}

// Compose builds the prompt for a request to the session that was loaded with at
// least p.Need(in). It changes none of its arguments.
//
// The prompt never exceeds the policy's budget, unless what must be sent does so
// alone: system messages, the new messages and, if these do not begin with a user
// message, the group that they continue. Then it holds nothing else. What is sent
// of the log is its newest unbroken run of whole groups, without calls that were
// abandoned.
//
// Nothing is tokenised while the bounds of what is not counted yet lead to the
// same prompt.
func (b *Branch) Compose(in *Incoming, p Policy, c *Counter) Prompt {
	s := &b.Session
	prompt := Prompt{System: in.System, Overlap: b.Overlap}
	if len(prompt.System) == 0 {
		prompt.System = instructions(s.System)
	}
	if len(in.Persona) > 0 {
		prompt.System = slices.Concat(in.Persona, prompt.System)
	}
	if prompt.Overlap == len(in.Messages) && s.Totals.Groups == 0 {
		// A log without a user message is never sent; the request must be.
		prompt.Overlap = 0
	}
	fresh := in.Messages[prompt.Overlap:]
	bill := newBill(prompt.System, in.Fixed, fresh, c)
	v := verbatimOf(s, p, p.Need(in), bill.room(p))
	continues := len(fresh) == 0 || fresh[0].Role != RoleUser
	if continues && v.behind && v.last() == len(v.history) {
		// The summary covers the group that the request continues; it must be sent.
		v = verbatimOf(s, Policy{Budget: p.Budget}, p.Need(in), bill.room(p))
	}
	v.leaveOut(fresh, prompt.Overlap > 0)
	bill.summary(v.summary)
	first := bill.decide(p, v.history, v.total)
	if continues {
		first = min(first, v.last())
	}
	prompt.take(v.history[first:])
	prompt.New = bill.counted(fresh)
	prompt.Dropped = max(0, int(s.Totals.Groups)-prompt.Groups)
	for i := range prompt.System[:len(prompt.System)-len(in.System)] {
		prompt.Tokens += c.estimate(&prompt.System[i])
	}
	prompt.instructions = prompt.System
	prompt.summarise(&v, first, bill.room(p), p)
	if b.Supersedes != (Span{}) {
		prompt.Fold = Position{} // it may lie in a turn that is about to be superseded
	}
	return prompt
}

// AppendMessages appends the JSON array of the prompt's messages, each byte for
// byte as it was said.
func (p *Prompt) AppendMessages(dst []byte) []byte {
	dst = append(dst, '[')
	start := len(dst)
	for i := range p.System {
		dst = appendElement(dst, start, p.System[i].Raw)
	}
	for _, m := range p.History {
		dst = appendElement(dst, start, m.Raw)
	}
	for i := range p.New {
		dst = appendElement(dst, start, p.New[i].Raw)
	}
	return append(dst, ']')
}

// Private

// take fills the prompt with the legal messages of the history.
func (p *Prompt) take(h history) {
	p.History = make([]*Message, 0, len(h))
	for i := range h {
		if h[i].out {
			continue
		}
		if h[i].kind == opening {
			p.Groups++
		}
		p.Tokens += int(h[i].tokens)
		p.History = append(p.History, h[i].message)
	}
}

// appendElement appends an element of the array whose first begins at start.
func appendElement(dst []byte, start int, raw string) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return append(dst, raw...)
}
