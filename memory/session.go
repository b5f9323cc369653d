// Package memory keeps conversations and composes prompts from them.
//
// A session is an append-only log of turns. A turn is what one request added,
// its new messages and the reply, stored whole or not at all. The log is the
// only truth; everything else here is a view of it.
package memory

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxKeyLength bounds each half of a Key, in bytes.
const MaxKeyLength = 256

// Errors of a Store.
var (
	// ErrKey means that a key lacks a half or holds other than visible ASCII.
	ErrKey = errors.New("invalid session key")
	// ErrSessionFull means that a turn would take a session over its size limit.
	ErrSessionFull = errors.New("session is full")
)

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

// A Turn is one exchange: the messages that a request added and the reply.
type Turn struct {
	Seq      int64     // its place in the log, from 1 without gaps; Append assigns it
	At       time.Time // when it was completed, in milliseconds
	Model    string    // the model that was asked for
	Partial  bool      // the client left before the reply was whole
	Messages []Message // the new messages, then the reply; never system messages
	// System holds the instructions that the request carried, as a JSON array;
	// "" if it carried none. They are not part of the turn: the session keeps the
	// latest.
	System string
}

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

// A Session is what composing a prompt needs of a log: its newest turns and the
// totals over all of it. The zero value is the empty session. It is shared by
// readers and must not be changed.
type Session struct {
	Seq    int64  // the sequence number of the last turn; 0 if there is none
	Turns  []Turn // the newest turns, oldest first, without gaps, ending at Seq
	Totals Totals // over the whole log
	System string // the latest instructions, a JSON array, or ""
}

// Totals sums up a log.
type Totals struct {
	Messages int64
	Groups   int64
	Tokens   int64
	Bytes    int64 // of the messages
}

// Add adds a turn.
func (t *Totals) Add(turn *Turn) {
	t.Messages += int64(len(turn.Messages))
	t.Groups += int64(turn.Groups())
	t.Tokens += int64(turn.Tokens())
	t.Bytes += int64(turn.Size())
}

// A Need says how much of a log's end a Load must return: turns are added,
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

// A Store keeps sessions. Implementations are safe for concurrent use by many
// goroutines and many processes. Every method returns ErrKey for a bad key.
type Store interface {
	// Load returns the end of a session's log. An unknown or expired id is the
	// empty session, not an error. What an Append returned for, by any process,
	// every later Load sees.
	Load(ctx context.Context, key Key, need Need) (Session, error)

	// Append adds one whole turn at the end, atomically and durably, refreshes the
	// session's time to live, and returns the turn's sequence number. t.Seq is
	// ignored. It returns ErrSessionFull if the session would exceed its limit.
	Append(ctx context.Context, key Key, t Turn) (seq int64, err error)

	// Turns pages through the log: up to limit turns before the sequence number
	// (0: from the end), oldest first.
	Turns(ctx context.Context, key Key, before int64, limit int) ([]Turn, error)

	// Delete forgets the session at once and for good. Deleting an unknown id is
	// not an error.
	Delete(ctx context.Context, key Key) error

	// Ping returns nil if the store can be read and written.
	Ping(ctx context.Context) error

	// Close releases the store after pending appends are done.
	Close() error
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
