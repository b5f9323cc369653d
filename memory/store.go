package memory

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store, beside ErrKey.
var (
	// ErrSessionFull means that a turn would take a session over its size limit.
	ErrSessionFull = errors.New("session is full")
	// ErrNotFound means that there is no such session.
	ErrNotFound = errors.New("no such session")
	// ErrExists means that there is such a session already.
	ErrExists = errors.New("the session exists already")
	// ErrConflict means that the session is no longer as the caller saw it.
	ErrConflict = errors.New("the session has changed meanwhile")
	// ErrQueued means that a turn is not stored yet, but will be.
	ErrQueued = errors.New("the turn is queued until the store takes it")
	// ErrDown means that the store is known not to answer, or that it does not have
	// the session's last turns yet.
	ErrDown = errors.New("the store is down")
)

// A Store keeps sessions. Implementations are safe for concurrent use by many
// goroutines and many processes. Every method returns ErrKey for a bad key.
type Store interface {
	// Load returns the end of a session's log. An unknown or expired id is the
	// empty session, not an error. What an Append returned for, by any process,
	// every later Load sees.
	Load(ctx context.Context, key Key, need Need) (Session, error)

	// Append adds one whole turn at the end, atomically and durably, marks the
	// turns that it supersedes, refreshes the session's time to live, and returns
	// the turn's sequence number. t.Seq and t.SupersededBy are ignored. A summary
	// that covers a superseded turn is forgotten. A session without a title gets
	// the turn's. If t.Redelivered and the session has a turn with its ID, that
	// one's number is returned and nothing changes. It returns ErrSessionFull if
	// the session would exceed its limit.
	Append(ctx context.Context, key Key, t Turn) (seq int64, err error)

	// Turns pages through the log: up to limit turns before the sequence number
	// (0: from the end), oldest first, superseded ones included.
	Turns(ctx context.Context, key Key, before int64, limit int) ([]Turn, error)

	// Delete forgets the session at once and for good. Deleting an unknown id is
	// not an error.
	Delete(ctx context.Context, key Key) error

	// DeleteAt deletes the session if seq is still its last turn, else it returns
	// ErrConflict, or ErrNotFound.
	DeleteAt(ctx context.Context, key Key, seq int64) error

	// Find returns the newest live turn that has the first of the links that any
	// live turn has; 0 if there is none.
	Find(ctx context.Context, key Key, links []Link) (seq int64, err error)

	// Compact replaces the summary, or forgets it if s is nil, provided that the
	// session's Revision still is base; else it returns ErrConflict. It counts the
	// change in the Revision and leaves the time to live alone.
	Compact(ctx context.Context, key Key, base Revision, s *Summary) error

	// Lease makes holder the only one for the duration and reports whether it is;
	// asking again extends it. A duration of 0 gives it back. It returns false for
	// an unknown session.
	Lease(ctx context.Context, key Key, holder string, d time.Duration) (bool, error)

	// Info describes a session, or returns ErrNotFound.
	Info(ctx context.Context, key Key) (Info, error)

	// Sessions lists sessions, the last active first. Their Info has no System, no
	// Persona and no Summary.
	Sessions(ctx context.Context, q Query) ([]Info, error)

	// Import stores a whole session at once, its turns with their numbers, or
	// returns ErrExists. The snapshot must be settled.
	Import(ctx context.Context, key Key, s *Snapshot) error

	// Ping returns nil if the store can be read and written.
	Ping(ctx context.Context) error

	// Close releases the store after pending appends are done.
	Close() error
}
