// Package memory keeps conversations and composes prompts from them.
//
// A session is an append-only log of turns. A turn is what one request added,
// its new messages and the reply, stored whole or not at all. The log is the
// only truth; everything else here is a view of it.
//
// Clients edit and regenerate: a turn may supersede earlier ones. Those stay in
// the log, marked, and are never sent again. The turns that are not superseded
// are the live ones.
package memory

import (
	"errors"
	"fmt"
)

// MaxKeyLength bounds each half of a Key, in bytes.
const MaxKeyLength = 256

// ErrKey means that a key lacks a half or holds other than visible ASCII.
var ErrKey = errors.New("invalid session key")

// A Key names one session of one tenant. The two halves are never joined with a
// separator that either could contain.
type Key struct{ Tenant, Session string }

// Check returns ErrKey unless both halves are 1 to MaxKeyLength visible ASCII
// characters. Every Store method checks its key first.
func (k Key) Check() error {
	if !visible(k.Tenant) {
		return fmt.Errorf("%w: tenant must be 1 to %d visible ASCII characters", ErrKey, MaxKeyLength)
	}
	if !visible(k.Session) {
		return fmt.Errorf("%w: session must be 1 to %d visible ASCII characters", ErrKey, MaxKeyLength)
	}
	return nil
}

// A Session is what composing a prompt needs of a log: its newest live turns and
// the totals over all of it. The zero value is the empty session. It is shared by
// readers and must not be changed.
type Session struct {
	Revision Revision
	Seq      int64  // the sequence number of the last turn; 0 if there is none
	Turns    []Turn // the newest live turns, oldest first, none left out
	Totals   Totals
	System   string   // the latest instructions, a JSON array, or ""
	Persona  string   // the latest persona that was named, or ""
	Summary  *Summary // of the log's beginning; nil if there is none
}

// A Revision identifies everything of a session that appending an ordinary turn
// leaves as it is. Two that are equal are the same state.
type Revision struct {
	Life    int64 // deleting or expiring ends it
	Branch  int64 // the last turn that superseded others; 0: none did
	Summary int64 // counts what became of the summary: each new one, each one forgotten
}

// Totals sums up the live turns of a log.
type Totals struct {
	Turns    int64
	Messages int64
	Groups   int64
	Tokens   int64
	Bytes    int64 // of the messages; in a Session's totals, those of superseded turns too
}

// Add adds a turn.
func (t *Totals) Add(turn *Turn) {
	t.Turns++
	t.Messages += int64(len(turn.Messages))
	t.Groups += int64(turn.Groups())
	t.Tokens += int64(turn.Tokens())
	t.Bytes += int64(turn.Size())
}

// A Need says how much of a log's end a Load must return: live turns are added,
// newest first, until each of the numbers is reached or the log is used up.
// More may be returned.
type Need struct {
	Tokens   int
	Groups   int
	Messages int
}

// Met reports whether have covers the need.
func (n Need) Met(have Totals) bool {
	return have.Tokens >= int64(n.Tokens) && have.Groups >= int64(n.Groups) && have.Messages >= int64(n.Messages)
}

// Private

func visible(s string) bool {
	if len(s) == 0 || len(s) > MaxKeyLength {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
