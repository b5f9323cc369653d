package pgstore

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"mnemo/memory"
)

// Load implements memory.Store. It is one round trip, and reads only turns that
// are not cached.
func (s *Store) Load(ctx context.Context, key memory.Key, need memory.Need) (memory.Session, error) {
	var session memory.Session
	err := s.enter(ctx, key, "load session", repeatable, func(ctx context.Context, _ bool) (err error) {
		session, err = s.load(ctx, key, need)
		return err
	})
	return session, err
}

// Private

// text is a bytea as a string, or NULL.
type text struct {
	is    string
	valid bool
}

// ScanBytes implements pgtype.BytesScanner.
func (t *text) ScanBytes(v []byte) error {
	t.is, t.valid = string(v), v != nil
	return nil
}

// A reply is what load_session returns.
type reply struct {
	head                     memory.Head
	system, persona, summary text
	seqs                     []int64
	read                     []text // newest first
}

func (s *Store) load(ctx context.Context, key memory.Key, need memory.Need) (memory.Session, error) {
	tail := s.cache.Tail(key, need)
	revision := tail.Session.Revision
	var r reply
	h := &r.head
	err := s.pool.QueryRow(ctx, s.sql.load, key.Tenant, key.Session, s.opts.Now().UnixMilli(),
		revision.Life, revision.Branch, revision.Summary, tail.Session.Seq, tail.First(),
		tail.Held.Turns, tail.Held.Messages, tail.Held.Groups, tail.Held.Tokens,
		need.Messages, need.Groups, need.Tokens,
	).Scan(&h.Revision.Life, &h.Revision.Branch, &h.Revision.Summary, &h.Seq,
		&h.Totals.Turns, &h.Totals.Messages, &h.Totals.Groups, &h.Totals.Tokens, &h.Totals.Bytes,
		&r.system, &r.persona, &r.summary, &r.seqs, &r.read)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		s.cache.Drop(key)
		return memory.Session{}, nil
	case err != nil:
		return memory.Session{}, err
	case r.seqs == nil:
		return tail.Session, nil
	}
	tail = tail.At(r.head)
	turns, err := r.decode(&tail.Session)
	if err != nil {
		return memory.Session{}, err
	}
	return s.cache.Extend(key, tail, r.head, turns), nil
}

// decode completes the head with what the cached session has of it, and returns
// the turns, oldest first.
func (r *reply) decode(cached *memory.Session) (turns []memory.Turn, err error) {
	r.head.System, r.head.Persona, r.head.Summary = cached.System, cached.Persona, cached.Summary
	if r.system.valid {
		r.head.System, r.head.Persona = r.system.is, r.persona.is
	}
	if version := r.head.Revision.Summary; version != cached.Revision.Summary {
		if r.head.Summary, err = summaryOf(version, r.summary); err != nil {
			return nil, err
		}
	}
	turns = make([]memory.Turn, 0, len(r.seqs))
	for i, seq := range slices.Backward(r.seqs) {
		t, err := memory.DecodeTurn(seq, r.read[i].is)
		if err != nil {
			return nil, err
		}
		turns = append(turns, t)
	}
	return turns, nil
}

func summaryOf(version int64, stored text) (*memory.Summary, error) {
	if !stored.valid {
		return nil, nil
	}
	return memory.DecodeSummary(version, stored.is)
}
