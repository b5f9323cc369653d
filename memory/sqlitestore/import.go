package sqlitestore

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// Import implements memory.Store. It returns memory.ErrSessionFull if the session
// exceeds the limit.
func (s *Store) Import(ctx context.Context, key memory.Key, snap *memory.Snapshot) error {
	if err := key.Check(); err != nil {
		return err
	}
	err := s.restore(ctx, key, snap)
	if err != nil {
		return fmt.Errorf("import session: %w", err)
	}
	return nil
}

// Private

func (s *Store) restore(ctx context.Context, key memory.Key, snap *memory.Snapshot) error {
	if snap.Totals.Bytes > s.opts.MaxSessionBytes {
		return fullAt(s.opts.MaxSessionBytes)
	}
	texts := make([]string, len(snap.Turns))
	for i := range snap.Turns {
		texts[i] = string(memory.EncodeTurn(&snap.Turns[i]))
	}
	return s.write(ctx, func(w *writer) error {
		now, expires := s.times()
		return w.restore(key, snap, texts, now, expires)
	})
}

func (w *writer) restore(key memory.Key, snap *memory.Snapshot, texts []string, now, expires int64) error {
	found, err := w.live(key, now)
	if err == nil && found {
		err = memory.ErrExists
	}
	if err == nil {
		_, err = w.retire(key) // an expired life
	}
	if err == nil {
		err = w.addSession(key, snap, expires)
	}
	session := w.conn.LastInsertRowID()
	if err == nil {
		err = w.addTitle(session, snap.Title, snap.Created)
	}
	if err == nil && snap.Summary != nil {
		err = w.summarize(session, snap.Summary)
	}
	for i := 0; i < len(texts) && err == nil; i++ {
		err = w.place(session, &snap.Turns[i], texts[i])
	}
	if err == nil && (snap.System != "" || snap.Persona != "") {
		err = w.keepInstructions(session, snap.System, snap.Persona)
	}
	return err
}

func (w *writer) addSession(key memory.Key, snap *memory.Snapshot, expires int64) error {
	n, totals, spent, updated, summaries := int64(len(snap.Turns)), &snap.Totals, &snap.Spent, snap.Updated.UnixMilli(), 0
	if snap.Summary != nil {
		summaries = 1
	}
	return sqlitex.Execute(w.conn, `INSERT INTO sessions (tenant, name, seq, branch, summaries, superseded, messages, groups, tokens, bytes,
			input, cached_input, output, cost, priced, untitled, system_seq, updated_at, listed_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
		&sqlitex.ExecOptions{Args: []any{
			key.Tenant, key.Session, n, snap.Branch, summaries, n - totals.Turns, totals.Messages, totals.Groups, totals.Tokens, totals.Bytes,
			spent.Input, spent.CachedInput, spent.Output, spent.Cost, n - spent.Unpriced, snap.Title == "", updated, updated, expires,
		}})
}

func (w *writer) place(session int64, t *memory.Turn, text string) error {
	w.insert.BindInt64(1, session)
	w.insert.BindInt64(2, t.Seq)
	w.insert.BindText(3, text)
	if err := run(w.insert); err != nil || t.SupersededBy == 0 {
		return err
	}
	return w.mark(session, t.Seq, t.SupersededBy)
}
