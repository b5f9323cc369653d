package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mnemo/memory"
)

// Append implements memory.Store. It is one round trip. If the connection breaks
// it may be sent twice, but a turn with an ID is stored once. If it returns the
// context's error, the turn may be stored.
func (s *Store) Append(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	var seq int64
	err := s.enter(ctx, key, "append turn", t.ID != "", func(ctx context.Context, again bool) (err error) {
		seq, err = s.append(ctx, key, &t, again || t.Redelivered)
		return err
	})
	return seq, err
}

// Private

// append stores a turn, unless it was delivered before.
func (s *Store) append(ctx context.Context, key memory.Key, t *memory.Turn, again bool) (seq int64, err error) {
	if again {
		if seq, err = s.delivered(ctx, key, t.ID); err != nil || seq > 0 {
			return seq, err
		}
	}
	seq, err = s.add(ctx, key, t)
	if codeOf(err) == uniqueViolation { // its first delivery was still under way
		if seq, lookErr := s.delivered(ctx, key, t.ID); lookErr != nil || seq > 0 {
			return seq, lookErr
		}
	}
	return seq, err
}

// delivered is the number of the turn with an ID; 0 if there is none.
func (s *Store) delivered(ctx context.Context, key memory.Key, id string) (seq int64, err error) {
	err = s.pool.QueryRow(ctx, s.sql.delivered, key.Tenant, key.Session, s.opts.Now().UnixMilli(), []byte(id)).Scan(&seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return seq, err
}

func (s *Store) add(ctx context.Context, key memory.Key, t *memory.Turn) (int64, error) {
	var added memory.Totals
	added.Add(t)
	var spent memory.Spent
	spent.Add(&t.Usage)
	now, expires := s.times()
	title := t.Title()
	var began bool
	var head memory.Head
	totals := &head.Totals
	err := s.pool.QueryRow(ctx, s.sql.add, key.Tenant, key.Session, now, expires, s.opts.MaxSessionBytes,
		t.At.UnixMilli(), []byte(t.ID), memory.EncodeTurn(t), t.Supersedes.First, t.Supersedes.Last, plain(t),
		added.Messages, added.Groups, added.Tokens, added.Bytes,
		spent.Input, spent.CachedInput, spent.Output, spent.Cost, spent.Unpriced,
		[]byte(t.System), []byte(t.Persona), []byte(title), []byte(memory.Fold(title)), links(nil, t),
	).Scan(&head.Revision.Life, &head.Revision.Branch, &head.Revision.Summary, &head.Seq,
		&totals.Turns, &totals.Messages, &totals.Groups, &totals.Tokens, &totals.Bytes, &began)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("%w: the limit is %d bytes", memory.ErrSessionFull, s.opts.MaxSessionBytes)
	}
	if err != nil {
		return 0, err
	}
	if head.Seq == 1 && !began { // the session was imported, with what only a Load knows
		s.cache.Drop(key)
	} else {
		s.cache.Append(key, head, t)
	}
	return head.Seq, nil
}

// plain is a turn that supersedes others as it is stored if they are not there,
// else nil.
func plain(t *memory.Turn) []byte {
	if t.Supersedes == (memory.Span{}) {
		return nil
	}
	alone := *t
	alone.Supersedes = memory.Span{}
	return memory.EncodeTurn(&alone)
}

// links adds the links of a turn.
func links(all []int64, t *memory.Turn) []int64 {
	for _, link := range t.Links() {
		all = append(all, int64(link))
	}
	return all
}
