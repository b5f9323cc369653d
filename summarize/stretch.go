package summarize

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"mnemo/memory"
)

// Private

// pageTurns is how many turns are read at once.
const pageTurns = 32

// A stretch is a part of a log that one step folds: live messages up to a place
// where a group begins.
type stretch struct {
	messages []*memory.Message
	turns    []int64         // those that the messages are from
	end      memory.Position // where it ends
	tokens   int
	covered  memory.Totals // of all live messages from the log's beginning to the end
}

// A said is one message in its turn.
type said struct {
	turn  *memory.Turn
	index int
}

func (m *said) message() *memory.Message { return &m.turn.Messages[m.index] }

// after is the place behind the message.
func (m *said) after() memory.Position {
	return memory.Position{UpTo: m.turn.Seq, Left: len(m.turn.Messages) - 1 - m.index}
}

// next is the stretch that follows the previous summary: as many whole groups as
// there are before the target and as the input allows, but at least one. It is
// empty if there is none.
func (s *Summarizer) next(ctx context.Context, key memory.Key, previous *memory.Summary, target memory.Position) (stretch, error) {
	var whole, open stretch // what may be folded; that and what was read of its next group
	var from memory.Position
	if previous != nil {
		from = memory.Position{UpTo: previous.UpTo, Left: previous.Left}
		open.covered = previous.Covered
	}
	for m, err := range s.since(ctx, key, from) {
		if err != nil {
			return stretch{}, err
		}
		enough := open.tokens > s.opts.Input
		if m.message().Role == memory.RoleUser && (!enough || whole.empty()) {
			whole = open
		}
		if enough && !whole.empty() || before(target, m.after()) {
			return whole, nil
		}
		open.add(&m)
	}
	if whole.empty() || open.tokens <= s.opts.Input { // the log ends, and with it a group
		whole = open
	}
	return whole, nil
}

// since are the live messages of a log after a place, oldest first.
func (s *Summarizer) since(ctx context.Context, key memory.Key, from memory.Position) iter.Seq2[said, error] {
	return func(yield func(said, error) bool) {
		first := from.UpTo + 1
		if from.Left > 0 {
			first = from.UpTo
		}
		for ; ; first += pageTurns { // numbers have no gaps
			turns, err := s.opts.Store.Turns(ctx, key, first+pageTurns, pageTurns)
			if err != nil {
				yield(said{}, err)
				return
			}
			for i := range turns {
				t := &turns[i]
				if t.Seq < first || t.SupersededBy != 0 {
					continue
				}
				skipped := 0
				if t.Seq == from.UpTo {
					skipped = max(0, len(t.Messages)-from.Left)
				}
				for j := skipped; j < len(t.Messages); j++ {
					if !yield(said{t, j}, nil) {
						return
					}
				}
			}
			if len(turns) == 0 || turns[len(turns)-1].Seq < first+pageTurns-1 {
				return
			}
		}
	}
}

func (p *stretch) empty() bool { return len(p.messages) == 0 }

func (p *stretch) add(m *said) {
	message := m.message()
	p.messages = append(p.messages, message)
	p.tokens += message.Bound()
	p.end = m.after()
	if len(p.turns) == 0 || p.turns[len(p.turns)-1] != m.turn.Seq {
		p.turns = append(p.turns, m.turn.Seq)
	}
	if m.index == 0 { // else the turn is covered in part already
		p.covered.Turns++
	}
	p.covered.Messages++
	p.covered.Tokens += int64(message.Bound())
	p.covered.Bytes += int64(len(message.Raw))
	if message.Role == memory.RoleUser {
		p.covered.Groups++
	}
}

func (p *stretch) same(other *stretch) bool {
	return p.end == other.end && slices.Equal(p.turns, other.turns)
}

// before reports whether a is an earlier place than b.
func before(a, b memory.Position) bool {
	return cmp.Or(cmp.Compare(a.UpTo, b.UpTo), cmp.Compare(b.Left, a.Left)) < 0
}
