package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mnemo/memory"
)

// Import implements memory.Store. It returns ErrSessionFull for a snapshot
// that is larger than a session may be.
func (s *Store) Import(ctx context.Context, key memory.Key, snapshot *memory.Snapshot) error {
	return s.enter(ctx, key, "import session", once, func(ctx context.Context, _ bool) error {
		if snapshot.Totals.Bytes > s.opts.MaxSessionBytes {
			return fmt.Errorf("%w: the limit is %d bytes", memory.ErrSessionFull, s.opts.MaxSessionBytes)
		}
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.insert(ctx, tx, key, snapshot) })
	})
}

// Private

func (s *Store) insert(ctx context.Context, tx pgx.Tx, key memory.Key, snapshot *memory.Snapshot) error {
	now, expires := s.times()
	if _, err := tx.Exec(ctx, s.sql.room, key.Tenant, key.Session, now); err != nil {
		return err
	}
	var summary []byte
	var summaries, upTo int64
	if snapshot.Summary != nil {
		summary, summaries, upTo = memory.EncodeSummary(snapshot.Summary), 1, snapshot.Summary.UpTo
	}
	totals, spent := &snapshot.Totals, &snapshot.Spent
	var session int64
	err := tx.QueryRow(ctx, s.sql.create, key.Tenant, key.Session, len(snapshot.Turns), snapshot.Branch, summaries, upTo,
		totals.Turns, totals.Messages, totals.Groups, totals.Tokens, totals.Bytes,
		spent.Input, spent.CachedInput, spent.Output, spent.Cost, spent.Unpriced,
		snapshot.Created.UnixMilli(), snapshot.Updated.UnixMilli(), expires).Scan(&session)
	if errors.Is(err, pgx.ErrNoRows) {
		return memory.ErrExists
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, s.sql.detail, session, []byte(snapshot.Title), []byte(memory.Fold(snapshot.Title)),
		[]byte(snapshot.System), []byte(snapshot.Persona), summary); err != nil {
		return err
	}
	return s.copyTurns(ctx, tx, session, snapshot.Turns)
}

func (s *Store) copyTurns(ctx context.Context, tx pgx.Tx, session int64, turns []memory.Turn) error {
	columns := []string{"session", "seq", "superseded_by", "supersedes", "messages", "groups", "tokens", "id", "turn"}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{s.schema, "turns"}, columns, pgx.CopyFromSlice(len(turns), func(i int) ([]any, error) {
		t := &turns[i]
		return []any{
			session, t.Seq, t.SupersededBy, t.Supersedes.First, len(t.Messages), t.Groups(), t.Tokens(),
			[]byte(t.ID), memory.EncodeTurn(t),
		}, nil
	}))
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{s.schema, "links"}, []string{"session", "link", "seq"}, pgx.CopyFromRows(linkRows(session, turns)))
	return err
}

// linkRows are the rows of the links of live turns. A turn may say the same twice.
func linkRows(session int64, turns []memory.Turn) (rows [][]any) {
	for i := range turns {
		if turns[i].SupersededBy != 0 {
			continue
		}
		said := map[memory.Link]bool{}
		for _, link := range turns[i].Links() {
			if !said[link] {
				said[link] = true
				rows = append(rows, []any{session, int64(link), turns[i].Seq})
			}
		}
	}
	return rows
}
