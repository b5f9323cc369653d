package memory

import "github.com/tidwall/gjson"

// Incoming is what a chat request brings, parsed once.
type Incoming struct {
	System   []Message // its system and developer messages, in order
	Messages []Message // all others, in order
	Fixed    []string  // the raw JSON of tools, functions and response_format, which take room in the prompt
}

// A Prompt is the messages to send and what memory had to do with them.
type Prompt struct {
	System  []Message  // sent first: the request's own, else the session's latest
	History []*Message // stored messages, oldest first; the session's own, not to be changed
	// New is what the request adds to the log, sent as it came. Messages that had
	// to be counted carry their counts.
	New     []Message
	Overlap int // how many messages at the request's beginning the log already held
	Groups  int // stored groups that are sent
	Dropped int // all other groups of the log
	// Tokens is what memory added: the history, and the session's instructions
	// where they stand in for the request's (by their Bound until counted once).
	Tokens int
}

// Compose builds the prompt for a request to a session that was loaded with at
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
func Compose(s *Session, in *Incoming, p Policy, c *Counter) Prompt {
	h := historyOf(s, p.Need(in))
	prompt := Prompt{System: in.System}
	if len(prompt.System) == 0 {
		prompt.System = instructions(s.System)
	}
	prompt.Overlap = overlap(h, in.Messages)
	if prompt.Overlap == len(in.Messages) && s.Totals.Groups == 0 {
		// A log without a user message is never sent; the request must be.
		prompt.Overlap = 0
	}
	fresh := in.Messages[prompt.Overlap:]
	h.leaveOut(fresh, prompt.Overlap > 0)

	b := newBill(prompt.System, in.Fixed, fresh, c)
	first := b.decide(p, h, int(s.Totals.Tokens))
	if len(fresh) == 0 || fresh[0].Role != RoleUser {
		first = min(first, h.last())
	}
	prompt.take(h[first:])
	prompt.New = b.counted(fresh)
	prompt.Dropped = max(0, int(s.Totals.Groups)-prompt.Groups)
	if len(in.System) == 0 {
		for i := range prompt.System {
			prompt.Tokens += c.estimate(&prompt.System[i])
		}
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

// instructions reads a session's system messages. They are matched with nothing,
// so they get no hash.
func instructions(array string) (messages []Message) {
	if array == "" {
		return nil
	}
	gjson.Parse(array).ForEach(func(_, m gjson.Result) bool {
		messages = append(messages, Message{Raw: m.Raw, Role: m.Get("role").String()})
		return true
	})
	return messages
}

// appendElement appends an element of the array whose first begins at start.
func appendElement(dst []byte, start int, raw string) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return append(dst, raw...)
}
