package pgledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mnemo/ledger"
	"mnemo/ledger/internal/statement"
)

// Append implements ledger.Store: all of a batch is kept, or nothing of it. It is one
// statement for each of two tables, whatever the batch.
func (s *Store) Append(ctx context.Context, entries []ledger.Entry) error {
	if err := ledger.CheckEntries(entries); err != nil || len(entries) == 0 {
		return err
	}
	rows, err := columns(entries)
	if err != nil {
		return err
	}
	return s.use(ctx, "append to ledger", func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, s.sql.calls, rows.calls...); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, s.sql.entries, rows.uids, rows.entries)
			return err
		})
	})
}

// Forget implements ledger.Store.
func (s *Store) Forget(ctx context.Context, tenant, session string) error {
	if session == "" {
		return nil
	}
	return s.use(ctx, "forget session in ledger", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, s.sql.forget, tenant, session)
		return err
	})
}

// Roll implements ledger.Store, an hour of calls at a time. Replicas that roll up the same
// hour wait for each other, and the second finds nothing left to do.
func (s *Store) Roll(ctx context.Context, before time.Time) error {
	end := ledger.Day(before).UnixMilli()
	for {
		var first int64
		err := s.use(ctx, "roll up ledger", func(ctx context.Context) error {
			if err := s.pool.QueryRow(ctx, s.sql.first, end).Scan(&first); err != nil {
				return err
			}
			began := ledger.Hour(time.UnixMilli(first))
			return s.roll(ctx, began.UnixMilli(), began.Add(time.Hour).UnixMilli())
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Private

func statementsIn(schema string) statements {
	d := statement.Dialect{
		Mark: "$", Calls: in(schema, "mnemo.ledger_calls"), Days: in(schema, "mnemo.ledger_days"),
		Session: "session = %s AND session <> ''", // what the index is of
	}
	marks := make([]string, len(statement.Call))
	for i, column := range statement.Call {
		kind := "bigint"
		if column == "id" || slices.Contains(statement.Dimensions, column) {
			kind = "text"
		} else if column == "uid" {
			kind = "bytea"
		}
		marks[i] = fmt.Sprintf("$%d::%s[]", i+1, kind)
	}
	return statements{
		dialect: d,
		calls: in(schema, `INSERT INTO mnemo.ledger_calls (`+strings.Join(statement.Call, ", ")+`)
			SELECT * FROM unnest(`+strings.Join(marks, ", ")+`) ON CONFLICT DO NOTHING`),
		entries: in(schema, `INSERT INTO mnemo.ledger_entries SELECT * FROM unnest($1::bytea[], $2::text[]) ON CONFLICT DO NOTHING`),
		call: in(schema, `SELECT uid, at, tenant, session, id, entry FROM mnemo.ledger_calls JOIN mnemo.ledger_entries USING (uid)
			WHERE id = $1 AND (tenant = $2 OR $3) ORDER BY at DESC, uid DESC LIMIT $4`),
		first:  in(schema, `SELECT at FROM mnemo.ledger_calls WHERE at < $1 ORDER BY at LIMIT 1`),
		roll:   in(schema, `WITH gone AS (DELETE FROM mnemo.ledger_calls WHERE at >= $1 AND at < $2 RETURNING *) `) + d.Roll("gone", "true"),
		forget: in(schema, `UPDATE mnemo.ledger_calls SET session = '' WHERE tenant = $1 AND session = $2 AND session <> ''`),
		// It deletes nothing, but only who may write can do it.
		ping: in(schema, `DELETE FROM mnemo.ledger_days WHERE at < 0`),
	}
}

// roll adds the calls of a time up and deletes them, in one statement: what is added
// up is what was deleted.
func (s *Store) roll(ctx context.Context, from, to int64) error {
	_, err := s.pool.Exec(ctx, s.sql.roll, from, to)
	return err
}

// batch is entries as arrays, one for each column.
type batch struct {
	calls   []any
	uids    [][]byte
	entries []string
}

// columns puts entries in the order of their UIDs, so that batches that are appended
// twice at the same time wait for each other in one order.
func columns(entries []ledger.Entry) (batch, error) {
	order := make([]*ledger.Entry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	slices.SortFunc(order, func(a, b *ledger.Entry) int { return cmp.Compare(string(a.UID[:]), string(b.UID[:])) })
	b := batch{uids: make([][]byte, len(order)), entries: make([]string, len(order))}
	at := make([]int64, len(order))
	texts, sums := make([][]string, len(statement.Dimensions)+1), make([][]int64, len(ledger.Columns()))
	for i, e := range order {
		text, err := ledger.EncodeEntry(e)
		if err != nil {
			return b, err
		}
		b.uids[i], b.entries[i] = e.UID[:], string(text)
		var dimensions []string
		var values []int64
		at[i], dimensions, values = statement.Values(e)
		for j, text := range dimensions {
			texts[j] = append(texts[j], text)
		}
		for j, n := range values {
			sums[j] = append(sums[j], n)
		}
	}
	b.calls = append(b.calls, b.uids, at)
	for _, column := range texts {
		b.calls = append(b.calls, column)
	}
	for _, column := range sums {
		b.calls = append(b.calls, column)
	}
	return b, nil
}
