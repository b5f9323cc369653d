package memory

import "slices"

// A Head is what a store keeps of a session beside its turns. Two heads with
// the same Revision and Seq are the same.
type Head struct {
	Revision Revision
	Seq      int64 // the sequence number of the last turn
	Totals   Totals
	System   string
	Persona  string
	Summary  *Summary
}

// A Tail is the cached end of a session's log. The zero value is the tail that
// holds nothing.
type Tail struct {
	Session Session // as it was when it was read; must not be changed
	Held    Totals  // over Session.Turns
}

// First is the sequence number of the oldest turn held; with none held, the one
// that the next turn will have.
func (t *Tail) First() int64 {
	if len(t.Session.Turns) == 0 {
		return t.Session.Seq + 1
	}
	return t.Session.Turns[0].Seq
}

// Covers reports whether the tail, if it is still current, holds what is needed
// or every live turn.
func (t *Tail) Covers(need Need) bool {
	return t.Held.Turns == t.Session.Totals.Turns || need.Met(t.Held)
}

// Current reports whether nothing happened to the session since.
func (t *Tail) Current(head Head) bool {
	return t.Session.Revision == head.Revision && t.Session.Seq == head.Seq
}

// At is the tail if its turns are a part of the log at head, else the tail that
// holds nothing.
func (t Tail) At(head Head) Tail {
	if t.Session.Revision.branch() != head.Revision.branch() || t.Session.Seq > head.Seq {
		return Tail{}
	}
	return t
}

// Private

// join is the tail at head. If the tail is owned, the room behind its turns is
// used; else it is left alone.
func (t Tail) join(head Head, read []Turn, owned bool) Tail {
	t = t.At(head)
	older := 0
	for older < len(read) && read[older].Seq < t.First() {
		older++
	}
	if t.Session.Seq != head.Seq && (older == len(read) || read[older].Seq != t.Session.Seq+1) {
		t = Tail{}
	}
	turns := t.Session.Turns
	if !owned {
		turns = slices.Clip(turns)
	}
	if older > 0 {
		turns = slices.Concat(read[:older], turns)
	}
	next := Tail{Held: t.Held, Session: Session{
		Revision: head.Revision, Seq: head.Seq, Totals: head.Totals,
		System: head.System, Persona: head.Persona, Summary: head.Summary,
		Turns: append(turns, read[older:]...),
	}}
	for i := range read {
		next.Held.Add(&read[i])
	}
	return next
}

// same reports whether both are one tail, not only equal.
func (t *Tail) same(other Tail) bool {
	a, b := t.Session.Turns, other.Session.Turns
	return t.Session.Revision == other.Session.Revision && t.Session.Seq == other.Session.Seq &&
		len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// olderThan reports whether other knows more. Of two lives, a store that read
// later knows better.
func (t *Tail) olderThan(other Tail) bool {
	a, b := &t.Session, &other.Session
	switch {
	case a.Revision.Life != b.Revision.Life:
		return true
	case a.Seq != b.Seq:
		return a.Seq < b.Seq
	case a.Revision.Summary != b.Revision.Summary:
		return a.Revision.Summary < b.Revision.Summary
	}
	return len(a.Turns) < len(b.Turns)
}

func (t *Tail) cost(key Key) int64 {
	cost := sessionCost + int64(len(key.Tenant)+len(key.Session)+len(t.Session.System)+len(t.Session.Persona)) +
		t.Held.Bytes + t.Held.Messages*messageCost + int64(len(t.Session.Turns))*turnCost
	if t.Session.Summary != nil {
		cost += int64(len(t.Session.Summary.Text))
	}
	return cost
}

// branch is the revision without the summary: what the turns depend on.
func (r Revision) branch() Revision {
	r.Summary = 0
	return r
}
