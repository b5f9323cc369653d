package memory

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// A Turn is one exchange: the messages that a request added and the reply.
type Turn struct {
	Seq      int64     // its place in the log, from 1 without gaps; Append assigns it
	ID       string    // unique, as NewTurnID makes it
	At       time.Time // when it was completed, in milliseconds
	Model    string    // the model that was asked for
	Partial  bool      // the client left before the reply was whole
	Messages []Message // the new messages, then the reply; never system messages
	Usage    Usage     // what the exchange took
	// Supersedes are the turns in place of which this one stands; the zero value:
	// none. It also supersedes turns after them that themselves superseded one of
	// these or a later one: two clients may regenerate at once.
	Supersedes Span
	// SupersededBy is the turn that stands in place of this one; 0: it is live.
	// The store assigns it.
	SupersededBy int64
	// System holds the instructions that the request carried, as a JSON array;
	// "" if it carried none. They are not part of the turn: the session keeps the
	// latest. So it does with Persona, the persona that the request named.
	System  string
	Persona string
	// Redelivered says that an Append of this turn was tried before and may have
	// succeeded: the store looks for the turn's ID first.
	Redelivered bool
	// Unresolved says that Messages are all that the request brought, because the
	// log could not be read: Resolve must be asked before the turn is stored.
	Unresolved bool
	// Repeated says of an unresolved turn that its call was sent again after it failed.
	Repeated bool
}

// A Span is a range of sequence numbers, both ends included. The zero value is
// empty.
type Span struct{ First, Last int64 }

// Usage is the tokens of one call and what they cost.
type Usage struct {
	Input       int // all of the prompt, CachedInput included
	CachedInput int
	Output      int // all of the answer, Reasoning included
	Reasoning   int
	Estimated   bool  // counted here, not reported by the upstream
	Cost        int64 // nano-dollars; meaningless unless Priced
	Priced      bool  // the model's price is known
}

// Spent is the usage of a session's turns, superseded ones included.
type Spent struct {
	Input       int64
	CachedInput int64
	Output      int64
	Cost        int64 // nano-dollars, of the turns that are priced
	Unpriced    int64 // turns whose cost is not known
}

// Add adds a turn's usage.
func (s *Spent) Add(u *Usage) {
	s.Input += int64(u.Input)
	s.CachedInput += int64(u.CachedInput)
	s.Output += int64(u.Output)
	if u.Priced {
		s.Cost += u.Cost
	} else {
		s.Unpriced++
	}
}

// A Link identifies an assistant message together with the message before it in
// its turn. Stores index live turns by their links, so that a client's edited
// history finds its place in a long log.
type Link int64

// LinkOf is the link of two neighbours.
func LinkOf(before, answer *Message) Link {
	var both [2 * len(Hash{})]byte
	copy(both[:], before.Hash[:])
	copy(both[len(Hash{}):], answer.Hash[:])
	sum := sha256.Sum256(both[:])
	return Link(binary.LittleEndian.Uint64(sum[:8])) //nolint:gosec // any 64 bits will do
}

// NewTurnID makes an ID: 26 characters of 128 random bits.
func NewTurnID() string { return rand.Text() }

// Tokens is the sum over the turn's messages.
func (t *Turn) Tokens() int {
	sum := 0
	for i := range t.Messages {
		sum += t.Messages[i].Bound()
	}
	return sum
}

// Groups is the number of groups that begin in the turn: its user messages.
func (t *Turn) Groups() int {
	n := 0
	for i := range t.Messages {
		if t.Messages[i].Role == RoleUser {
			n++
		}
	}
	return n
}

// Size is the bytes of the turn's messages.
func (t *Turn) Size() int {
	n := 0
	for i := range t.Messages {
		n += len(t.Messages[i].Raw)
	}
	return n
}

// Links are those of the turn's assistant messages, oldest first. An assistant
// message at its very beginning has none.
func (t *Turn) Links() []Link {
	var links []Link
	for i := 1; i < len(t.Messages); i++ {
		if t.Messages[i].Role == RoleAssistant {
			links = append(links, LinkOf(&t.Messages[i-1], &t.Messages[i]))
		}
	}
	return links
}

// Replaces reports whether the turn supersedes an earlier, live one.
func (t *Turn) Replaces(earlier *Turn) bool {
	s := t.Supersedes
	if s.First == 0 || earlier.Seq < s.First {
		return false
	}
	return earlier.Seq <= s.Last || earlier.Supersedes.First >= s.First
}
