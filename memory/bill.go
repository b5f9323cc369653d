package memory

import (
	"math"
	"slices"
	"strings"
)

// Private

const (
	// priming is the tokens with which the upstream begins the reply.
	priming = 3
	// unbounded is more tokens than any prompt has.
	unbounded = math.MaxInt32
)

// A bill is what a prompt must hold beside stored messages. Counting is dear, so
// each item begins as a range, which is narrowed while that can change the prompt.
type bill struct {
	counter   *Counter
	items     []item
	low, high load
}

type item struct {
	raw       string
	low, high int  // bounds of its tokens
	fresh     int  // its index among the new messages; -1 for the fixed part
	message   bool // a message, not a tools value or the like
	cost      int  // bytes to tokenise
}

func newBill(system []Message, fixed []string, fresh []Message, c *Counter) *bill {
	b := &bill{counter: c, items: make([]item, 0, len(system)+len(fixed)+len(fresh))}
	b.low.fixed, b.high.fixed = priming, priming
	for i := range system {
		b.add(message(&system[i], -1))
	}
	for _, raw := range fixed {
		b.add(item{raw: raw, high: len(raw), fresh: -1})
	}
	for i := range fresh {
		b.add(message(&fresh[i], i))
	}
	return b
}

// summary adds what the summary takes.
func (b *bill) summary(s *Summary) {
	if s != nil {
		b.low.summary, b.high.summary = s.cost(), s.cost()
	}
}

// room is what the policy leaves for stored messages.
func (b *bill) room(p Policy) int {
	if p.Budget == 0 {
		return math.MaxInt
	}
	return p.Budget - b.high.fixed - b.high.fresh
}

// decide is the index of the first message sent. It counts, cheapest first, until
// what is not counted cannot change the result.
func (b *bill) decide(p Policy, h history, total int) int {
	first, settled := p.settle(h, total, b.low, b.high)
	if settled {
		return first
	}
	for i := range b.items {
		b.items[i].cost = b.cost(&b.items[i])
	}
	slices.SortStableFunc(b.items, func(x, y item) int { return x.cost - y.cost })
	for i := range b.items {
		if !b.narrow(&b.items[i]) {
			continue
		}
		if first, settled = p.settle(h, total, b.low, b.high); settled {
			break
		}
	}
	return first
}

// counted is a copy of the new messages with the counts that were made.
func (b *bill) counted(fresh []Message) []Message {
	fresh = slices.Clone(fresh)
	for _, it := range b.items {
		if it.fresh >= 0 && it.low == it.high {
			fresh[it.fresh].Tokens = it.high
		}
	}
	return fresh
}

func message(m *Message, fresh int) item {
	it := item{raw: m.Raw, low: m.Tokens, high: m.Bound(), fresh: fresh, message: true}
	if it.low == 0 && fresh >= 0 && strings.Contains(m.Raw, "_url") {
		it.high = unbounded // an address is shorter than the image costs
	}
	return it
}

func (b *bill) add(it item) {
	b.items = append(b.items, it)
	b.change(it, 1)
}

func (b *bill) change(it item, sign int) {
	if it.fresh >= 0 {
		b.low.fresh += sign * it.low
		b.high.fresh += sign * it.high
		return
	}
	b.low.fixed += sign * it.low
	b.high.fixed += sign * it.high
}

// cost is the bytes to tokenise for an item: none if its count is remembered.
func (b *bill) cost(it *item) int {
	if it.low == it.high || it.fresh < 0 && b.counter.known(it.raw, !it.message) > 0 {
		return 0
	}
	return len(it.raw)
}

// narrow counts an item; false if that was done before.
func (b *bill) narrow(it *item) bool {
	if it.low == it.high {
		return false
	}
	b.change(*it, -1)
	switch {
	case it.fresh >= 0:
		it.low = b.counter.message(it.raw)
	case it.message:
		it.low = b.counter.system(it.raw)
	default:
		it.low = b.counter.fixed(it.raw)
	}
	it.high = it.low
	b.change(*it, 1)
	return true
}
