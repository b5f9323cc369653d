package memory

import "math"

// A Position is a place in a log between two messages: after the turn UpTo, less
// that turn's last Left messages. The zero value is the log's beginning.
type Position struct {
	UpTo int64
	Left int
}

// Private

const (
	// summaryShare is the part of a budget that a summary may take: a half.
	summaryShare = 2
	// mostBytesPerToken is what a token of prose has at most, about.
	mostBytesPerToken = 16
)

// verbatim is the end of a log that a prompt may hold word for word: what the
// summary does not stand for.
type verbatim struct {
	history
	session *Session
	turn    int      // of the session's turns, the one in which the history begins
	skipped int      // messages of that turn that are before it
	total   int      // tokens of the log that the history is the end of
	summary *Summary // nil if the prompt must do without
	behind  bool     // the history begins behind the summary
}

// verbatimOf finds what there is to choose from, where a prompt has that room for
// stored messages.
func verbatimOf(s *Session, p Policy, need Need, room int) (v verbatim) {
	v = verbatim{session: s, total: int(s.Totals.Tokens)}
	if p.Strategy == Summarize && s.Summary != nil && (p.Budget == 0 || p.OneOff || summaryShare*s.Summary.cost() <= p.Budget) {
		v.summary = s.Summary
	}
	v.turn = neededFrom(s, need)
	if v.summary != nil && p.beginsBehind(s, room) {
		v.behind = true
		v.begin(Position{v.summary.UpTo, v.summary.Left})
		v.total -= int(v.summary.Covered.Tokens)
	}
	v.history = historyOf(s.Turns[v.turn:])[v.skipped:]
	return v
}

// beginsBehind reports whether the verbatim part of a prompt begins behind the
// summary. Not so where that would leave most of the room empty: the summary was
// made for a model with a smaller window, or for a smaller budget.
func (p Policy) beginsBehind(s *Session, room int) bool {
	rest := s.Totals.Tokens - s.Summary.Covered.Tokens
	return !p.OneOff && p.Budget != 0 && 2*rest >= int64(p.lowWater()*float64(room))
}

// begin leaves out what is before a position.
func (v *verbatim) begin(at Position) {
	turns := v.session.Turns
	for v.turn < len(turns) && turns[v.turn].Seq <= at.UpTo {
		if turns[v.turn].Seq == at.UpTo && at.Left > 0 {
			v.skipped = max(0, len(turns[v.turn].Messages)-at.Left)
			return
		}
		v.turn++
	}
}

// position is the place before the i-th message of the history.
func (v *verbatim) position(i int) Position {
	turns := v.session.Turns
	i += v.skipped
	for t := v.turn; t < len(turns); t++ {
		switch n := len(turns[t].Messages); {
		case i == 0 && t > 0:
			return Position{UpTo: turns[t-1].Seq}
		case i > 0 && i < n:
			return Position{UpTo: turns[t].Seq, Left: n - i}
		default:
			i -= n
		}
	}
	return Position{}
}

// summarise adds the summary to the prompt and says what the next one should hold.
// first is the first message of the history that is sent, room what the prompt has
// for stored messages.
func (p *Prompt) summarise(v *verbatim, first, room int, policy Policy) {
	if policy.Strategy != Summarize {
		return
	}
	leaves := first > 0
	if s := v.summary; s != nil && (v.behind || leaves && v.tokens(first)+s.cost() <= room) {
		p.System = withBlock(p.System, s.Block())
		p.Tokens += s.cost()
		p.summary = s.cost()
		p.Summary = SummaryUsed
	}
	if !leaves || !policy.blocks() {
		return
	}
	end := Position{UpTo: math.MaxInt64} // of what is left out
	if first < len(v.history) {
		end = v.position(first)
	}
	if s := v.session.Summary; s != nil && !s.before(end) {
		return
	}
	p.Summary = SummaryPending
	if end.UpTo < math.MaxInt64 {
		p.Fold = end
	}
}

// before reports whether the summary ends before a position.
func (s *Summary) before(at Position) bool {
	return s.UpTo < at.UpTo || s.UpTo == at.UpTo && s.Left > at.Left
}

// cost is what the summary adds to a prompt. The count of one that was imported is
// not taken on trust.
func (s *Summary) cost() int { return max(s.Tokens, len(s.Text)/mostBytesPerToken) }
