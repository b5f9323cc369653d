package memory

// A Position is a place in a log between two messages: after the turn UpTo, less
// that turn's last Left messages. The zero value is the log's beginning.
type Position struct {
	UpTo int64
	Left int
}

// Private

// summaryShare is the part of a budget that a summary may take: a half.
const summaryShare = 2

// verbatim is the end of a log that a prompt may hold word for word: what the
// summary does not stand for.
type verbatim struct {
	history
	session *Session
	turn    int      // of the session's turns, the one in which the history begins
	skipped int      // messages of that turn that are before it
	total   int      // tokens of the log that the history is the end of
	summary *Summary // nil if the prompt must do without
}

func verbatimOf(s *Session, p Policy, need Need) (v verbatim) {
	v = verbatim{session: s, total: int(s.Totals.Tokens)}
	if p.Strategy == Summarize && s.Summary != nil && (p.Budget == 0 || p.OneOff || summaryShare*s.Summary.Tokens <= p.Budget) {
		v.summary = s.Summary
	}
	v.turn = neededFrom(s, need)
	if v.summary != nil && !p.OneOff {
		v.begin(Position{v.summary.UpTo, v.summary.Left})
		v.total -= int(v.summary.Covered.Tokens)
	}
	v.history = historyOf(s.Turns[v.turn:])[v.skipped:]
	return v
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
	if s := v.summary; s != nil && (policy.blocks() || leaves && v.tokens(first)+s.Tokens <= room) {
		p.System = withBlock(p.System, s.Block())
		p.Tokens += s.Tokens
		p.summary = s.Tokens
		p.Summary = SummaryUsed
	}
	if !leaves || !policy.blocks() {
		return
	}
	p.Summary = SummaryPending
	if first < len(v.history) {
		p.Fold = v.position(first)
	}
	if s := v.session.Summary; s != nil && p.Fold.UpTo < s.UpTo {
		p.Fold = Position{}
	}
}
