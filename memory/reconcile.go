package memory

import (
	"context"
	"slices"
)

// A Log is what reconciling reads of a store.
type Log interface {
	Find(ctx context.Context, key Key, links []Link) (seq int64, err error)
	Turns(ctx context.Context, key Key, before int64, limit int) ([]Turn, error)
}

// A Branch is where a request continues a session.
type Branch struct {
	Session Session // the part of the log that the request continues
	Overlap int     // how many messages at the request's beginning the log holds; the others are new
	// Kept is what is still said of a turn that is superseded: it begins the turn
	// that stands in its place.
	Kept []Message
	// Supersedes are the turns that the request's turn will stand for.
	Supersedes Span
}

// Reconcile finds out where a request continues the session: at its end, or, if
// the client edited an earlier message or asks for an answer once more, before it.
// s was loaded with at least the need. Most requests are decided by s alone; the
// log is read for those that bring answers which the session's end does not hold.
//
// The rule, H being the live log and R the request's messages: take the greatest k
// for which the last k messages of H equal the first k of R; then R continues H,
// and what follows the first k is new. If k is 0, and R begins with a run of H that
// holds an answer, or with results of calls in H, and then differs or ends, R
// continues H after that run, and what follows the run in H is superseded. So it is
// for a repeated call, as SDKs send it after a failure, that brings the messages of
// the last turn. Everything else is new: to ask a question again is to ask it again.
func Reconcile(ctx context.Context, log Log, key Key, s *Session, in *Incoming, need Need) (Branch, error) {
	request := in.Messages
	if k := overlap(s.Turns, request); k > 0 || len(s.Turns) == 0 {
		return Branch{Session: *s, Overlap: k}, nil
	}
	p := pastOf(ctx, log, key, s, need)
	if at, found := p.repeated(in); found {
		return p.rewind(s, at, need)
	}
	at, found, err := p.run(request)
	if err != nil {
		return Branch{}, err
	}
	if !found {
		at, found = p.resumed(request)
	}
	if found {
		return p.rewind(s, at, need)
	}
	return Branch{Session: *s}, nil
}

// A Loader is a Log that also loads sessions.
type Loader interface {
	Log
	Load(ctx context.Context, key Key, need Need) (Session, error)
}

// Resolve makes an unresolved turn one that can be appended: what its request only
// repeated of the log goes, and what it supersedes is found.
func Resolve(ctx context.Context, log Loader, key Key, t Turn) (Turn, error) {
	if !t.Unresolved {
		return t, nil
	}
	last := len(t.Messages) - 1
	in := &Incoming{Messages: t.Messages[:last], Retry: t.Repeated, At: t.At}
	need := Policy{Budget: 1}.Need(in)
	session, err := log.Load(ctx, key, need)
	if err != nil {
		return Turn{}, err
	}
	b, err := Reconcile(ctx, log, key, &session, in, need)
	if err != nil {
		return Turn{}, err
	}
	t.Messages = slices.Concat(b.Kept, t.Messages[b.Overlap:])
	t.Supersedes, t.Unresolved, t.Repeated = b.Supersedes, false, false
	return t, nil
}

// Private

// rewind is the branch that continues the session after the run.
func (p *past) rewind(s *Session, at run, need Need) (Branch, error) {
	from := &p.turns[at.turn]
	b := Branch{
		Session: *s, Overlap: at.length,
		Kept:       from.Messages[:at.message:at.message],
		Supersedes: Span{First: from.Seq, Last: s.Seq},
	}
	totals := s.Totals
	for i := at.turn; i < len(p.turns); i++ {
		totals.remove(&p.turns[i])
	}
	p.turns = p.turns[:at.turn:at.turn]
	p.low = at.turn
	var held Totals
	err := p.extend(func(oldest *Turn) bool {
		held.Add(oldest)
		return need.Met(held)
	})
	if err != nil {
		return Branch{}, err
	}
	if at.message > 0 {
		rest := Turn{Seq: b.Supersedes.First, Messages: b.Kept}
		totals.Add(&rest)
		p.turns = append(p.turns, rest)
	}
	totals.Bytes = s.Totals.Bytes // nothing leaves the log
	b.Session.Totals, b.Session.Turns = totals, p.turns
	if s.Summary != nil && s.Summary.UpTo >= b.Supersedes.First {
		b.Session.Summary = nil
	}
	return b, nil
}

func (t *Totals) remove(turn *Turn) {
	var gone Totals
	gone.Add(turn)
	t.Turns -= gone.Turns
	t.Messages -= gone.Messages
	t.Groups -= gone.Groups
	t.Tokens -= gone.Tokens
	t.Bytes -= gone.Bytes
}
