package memory

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
)

// A CountFunc returns the tokens that a raw JSON value takes in a prompt.
type CountFunc func(raw string) int

// A Counter counts tokens as one family of models does. What comes again with
// every request, system messages and tools, is counted once and remembered by
// its hash; messages of the conversation carry their own counts. The zero value
// counts bytes, and so does a nil Counter. It is safe for concurrent use and
// must not be copied.
type Counter struct {
	Message CountFunc // what a message adds to a prompt; nil: its Bound
	Fixed   CountFunc // tools, functions or response_format; nil: its bytes

	once sync.Once
	seed maphash.Seed
	seen *lru.Cache[countKey, *count]
}

// CountPrompt counts what Compose left uncounted: the new messages, in place, so
// that they carry their counts into the turn, and the system messages. It is best
// called while the upstream is at work.
func (c *Counter) CountPrompt(p *Prompt) {
	c.fill(p.New)
	for i := range p.instructions {
		c.system(p.instructions[i].Raw)
	}
}

// PromptTokens is what a prompt takes, with the fixed values that go with it.
func (c *Counter) PromptTokens(p *Prompt, fixed []string) int {
	sum := priming + p.summary
	for i := range p.instructions {
		sum += c.system(p.instructions[i].Raw)
	}
	for _, m := range p.History {
		sum += m.Bound()
	}
	for i := range p.New {
		sum += p.New[i].Bound()
	}
	for _, raw := range fixed {
		sum += c.fixed(raw)
	}
	return sum
}

// CountTurn counts those messages of a turn that have no count yet.
func (c *Counter) CountTurn(t *Turn) { c.fill(t.Messages) }

// Private

// remembered bounds the counts that a Counter keeps.
const remembered = 1024

type countKey struct {
	hash  uint64
	size  int
	fixed bool
}

// A count is made once, however many ask for it at the same time.
type count struct {
	once   sync.Once
	tokens atomic.Int64
}

func (c *Counter) fill(messages []Message) {
	for i := range messages {
		if messages[i].Tokens == 0 {
			messages[i].Tokens = c.message(messages[i].Raw)
		}
	}
}

// message counts a message; at least 1, because 0 means not counted.
func (c *Counter) message(raw string) int {
	if c == nil || c.Message == nil {
		m := Message{Raw: raw}
		return m.Bound()
	}
	return max(1, c.Message(raw))
}

// system counts a system message.
func (c *Counter) system(raw string) int {
	if c == nil || c.Message == nil {
		return c.message(raw)
	}
	return c.recall(raw, false, c.Message)
}

func (c *Counter) fixed(raw string) int {
	if c == nil || c.Fixed == nil {
		return len(raw)
	}
	return c.recall(raw, true, c.Fixed)
}

func (c *Counter) recall(raw string, fixed bool, counter CountFunc) int {
	key := c.key(raw, fixed)
	entry, ok := c.seen.Get(key)
	if !ok {
		entry = &count{}
		if earlier, ok, _ := c.seen.PeekOrAdd(key, entry); ok {
			entry = earlier
		}
	}
	entry.once.Do(func() { entry.tokens.Store(int64(max(1, counter(raw)))) })
	return int(entry.tokens.Load())
}

// known is a remembered count, or 0.
func (c *Counter) known(raw string, fixed bool) int {
	if c == nil {
		return 0
	}
	if entry, ok := c.seen.Get(c.key(raw, fixed)); ok {
		return int(entry.tokens.Load())
	}
	return 0
}

// estimate is a system message's count if it is remembered, else its bound.
func (c *Counter) estimate(m *Message) int {
	if n := c.known(m.Raw, false); n > 0 {
		return n
	}
	return m.Bound()
}

func (c *Counter) key(raw string, fixed bool) countKey {
	c.once.Do(func() {
		c.seed = maphash.MakeSeed()
		c.seen, _ = lru.New[countKey, *count](remembered) // fails for a size below 1 only
	})
	return countKey{hash: maphash.String(c.seed, raw), size: len(raw), fixed: fixed}
}
