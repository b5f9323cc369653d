package memory

import "math"

// Private

// The kinds of message that composing tells apart.
const (
	plain   kind = iota
	opening      // a user message: it begins a group
	calling      // an assistant message with tool calls
	result       // a tool message
)

type kind uint8

// history is the end of a log as composing sees it, oldest message first. A group
// is a user message and everything up to the next one; it may span turns, and a
// turn may hold several. What stands before the first user message belongs to no
// group and is never sent.
type history []entry

type entry struct {
	message *Message
	tokens  int32
	kind    kind
	out     bool // not legal in a prompt: left out of its group
}

func historyOf(turns []Turn) history {
	n := 0
	for i := range turns {
		n += len(turns[i].Messages)
	}
	h := make(history, 0, n)
	for i := range turns {
		messages := turns[i].Messages
		for j := range messages {
			m := &messages[j]
			h = append(h, entry{message: m, tokens: int32(min(m.Bound(), math.MaxInt32)), kind: kindOf(m)})
		}
	}
	return h
}

// neededFrom is the first of the session's turns that the need asks for.
func neededFrom(s *Session, need Need) int {
	first := len(s.Turns)
	if need.Tokens == math.MaxInt {
		return 0
	}
	var held Totals
	for first > 0 && !need.Met(held) {
		first--
		t := &s.Turns[first]
		held.Tokens += int64(t.Tokens())
		held.Groups += int64(t.Groups())
		held.Messages += int64(len(t.Messages))
	}
	return first
}

func kindOf(m *Message) kind {
	switch {
	case m.Role == RoleUser:
		return opening
	case m.Role == RoleTool:
		return result
	case m.Role == RoleAssistant && len(m.Calls) > 0:
		return calling
	}
	return plain
}

// since is the first group before which the log has at least cut of its total tokens.
func (h history) since(cut, total int) int {
	first, before := len(h), total
	for i := len(h) - 1; i >= 0; i-- {
		before -= int(h[i].tokens)
		if cut > 0 && before < cut {
			break
		}
		if h[i].kind == opening {
			first = i
		}
	}
	return first
}

// newest is the first of at most so many newest groups that fit the room together.
func (h history) newest(groups, room int) int {
	first, sum := len(h), 0
	for i := len(h) - 1; i >= 0 && groups > 0; i-- {
		if !h[i].out {
			sum += int(h[i].tokens)
		}
		if sum > room {
			break
		}
		if h[i].kind == opening {
			first = i
			groups--
		}
	}
	return first
}

// tokens is the tokens from a message on.
func (h history) tokens(first int) (sum int) {
	for i := first; i < len(h); i++ {
		if !h[i].out {
			sum += int(h[i].tokens)
		}
	}
	return sum
}

// last is the last group; len(h) if there is none.
func (h history) last() int { return h.newest(1, math.MaxInt) }
