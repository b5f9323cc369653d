package memory

import (
	"errors"
	"fmt"
	"math"
)

// DefaultLowWater is the share of the budget that a jump leaves filled.
const DefaultLowWater = 0.6

// The strategies.
const (
	// Trim sends what fits the budget and drops whole blocks of old groups.
	Trim Strategy = iota
	// Window sends a fixed number of the newest groups.
	Window
	// Summarize trims, and has a summary stand for what is dropped.
	Summarize
)

// ErrStrategy means that a name is that of no strategy.
var ErrStrategy = errors.New("unknown strategy")

// A Strategy says which stored groups a prompt holds.
type Strategy uint8

// A Policy says how a prompt is composed. The zero value sends everything.
type Policy struct {
	Strategy Strategy
	Window   int     // groups, for Window; 0: as many as the budget holds
	Budget   int     // tokens of the whole prompt; 0: no limit; below 0: no room at all
	LowWater float64 // share of the budget that a jump leaves, between 0 and 1; else DefaultLowWater
	OneOff   bool    // a budget for this call only: the newest groups that fit, no blocks
}

// ParseStrategy reads the name of a strategy.
func ParseStrategy(name string) (Strategy, error) {
	switch name {
	case "trim":
		return Trim, nil
	case "window":
		return Window, nil
	case "summarize":
		return Summarize, nil
	}
	return 0, fmt.Errorf("%w %q: it is window, trim or summarize", ErrStrategy, name)
}

func (s Strategy) String() string {
	switch s {
	case Window:
		return "window"
	case Summarize:
		return "summarize"
	}
	return "trim"
}

// Need says how much of a log's end Compose looks at; a Load that brings more
// changes nothing in the prompt. Under a budget that is as many tokens as the
// budget has, abandoned calls among them, though these are not sent.
func (p Policy) Need(in *Incoming) Need {
	// The last group may be what the request continues, whatever its size.
	need := Need{Groups: 1}
	switch {
	case p.Strategy == Window && p.Window > 0:
		need.Groups = p.Window
	case p.Budget == 0:
		need.Tokens = math.MaxInt
	default:
		need.Tokens = max(0, p.Budget)
	}
	if len(in.Messages) > 1 { // a single message overlaps at most the last one
		need.Messages = len(in.Messages)
	}
	return need
}

// Private

// quanta is the number of steps in which a jump's length follows the budget.
const quanta = 16

// A load is the tokens of what a prompt must hold beside stored messages.
type load struct {
	fixed   int // system messages, tools, formats, the reply's first tokens
	fresh   int // the new messages
	summary int // the summary
}

// first is the index in h of the first message that is sent; len(h) if none is.
// total is the tokens of the whole log, whose end h is.
func (p Policy) first(h history, total int, l load) int {
	if !p.blocks() {
		groups, room := math.MaxInt, math.MaxInt
		if p.Strategy == Window && p.Window > 0 {
			groups = p.Window
		}
		if p.Budget != 0 {
			room = p.Budget - l.fixed - l.fresh
		}
		first := h.newest(groups, room)
		if first > 0 && l.summary > 0 && p.Strategy == Summarize {
			// Room for the summary too, but never more than half: a larger budget must
			// not keep less.
			first = h.newest(groups, max(room-l.summary, room/2))
		}
		return first
	}
	if p.Budget == 0 {
		return h.since(0, total)
	}
	return h.since(p.cut(total, l), total)
}

// cut is how many tokens at the log's beginning are dropped, at least.
//
// A provider's prompt cache is hit as long as each prompt begins with the bytes
// of the one before. So the cut does not follow the log's growth token by token:
// it is the smallest multiple of a step that brings the prompt under the budget.
// It is a function of the log and the policy alone, so all replicas, and a
// process after its restart, cut at the same place with no state to share: log
// positions never change, and the step changes only with a coarse part of the
// budget.
func (p Policy) cut(total int, l load) int {
	over := total + l.fresh - (p.Budget - l.fixed - l.summary)
	if over <= 0 {
		return 0
	}
	step := p.step(l)
	return (over + step - 1) / step * step
}

// step is how far the cut jumps, in tokens.
func (p Policy) step(l load) int {
	room := p.Budget - l.fixed - l.summary
	if quantum := p.Budget / quanta; quantum > 0 {
		room -= room % quantum
	}
	return max(1, int((1-p.lowWater())*float64(room)))
}

func (p Policy) lowWater() float64 {
	if p.LowWater > 0 && p.LowWater < 1 { // not a NaN
		return p.LowWater
	}
	return DefaultLowWater
}

// settle is the first message that is sent under the higher load, and whether
// every load between the two leads there. With one step the cut grows with the
// load; with two it may not.
func (p Policy) settle(h history, total int, low, high load) (first int, settled bool) {
	first = p.first(h, total, high)
	if low == high || p.Budget == 0 || p.blocks() && p.cut(total, high) == 0 {
		return first, true
	}
	if p.blocks() && p.step(low) != p.step(high) {
		return first, false
	}
	return first, first == p.first(h, total, low)
}

// blocks reports whether old groups are dropped in blocks.
func (p Policy) blocks() bool { return p.Strategy != Window && !p.OneOff }
