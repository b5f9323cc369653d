package pgledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mnemo/ledger"
	"mnemo/ledger/internal/statement"
)

// Usage implements ledger.Store.
func (s *Store) Usage(ctx context.Context, q ledger.Query) (ledger.Report, error) {
	if err := q.Settle(); err != nil {
		return ledger.Report{}, err
	}
	var report ledger.Report
	err := s.use(ctx, "add up ledger", func(ctx context.Context) error {
		report = ledger.Report{}
		text, args := s.sql.dialect.Usage(&q)
		rows, err := s.pool.Query(ctx, text, args...)
		if err != nil {
			return err
		}
		var row statement.Row
		_, err = pgx.ForEachRow(rows, targets(&row), func() error {
			row.Into(&report)
			row.Group = ledger.Group{}
			return nil
		})
		return err
	})
	if err != nil {
		return ledger.Report{}, err
	}
	report.Finish(&q)
	return report, nil
}

// Call implements ledger.Store.
func (s *Store) Call(ctx context.Context, of ledger.Scope, id string) ([]ledger.Entry, error) {
	if err := of.Check(); err != nil {
		return nil, err
	}
	var found []ledger.Entry
	err := s.use(ctx, "find call in ledger", func(ctx context.Context) error {
		found = nil
		rows, err := s.pool.Query(ctx, s.sql.call, ledger.Plain(id), of.Tenant, of.AllTenants, ledger.MaxCalls)
		if err != nil {
			return err
		}
		var uid []byte
		var at int64
		var tenant, session, id, text string
		_, err = pgx.ForEachRow(rows, []any{&uid, &at, &tenant, &session, &id, &text}, func() error {
			e := ledger.Entry{Time: time.UnixMilli(at).UTC(), Tenant: tenant, Session: session, ID: id}
			copy(e.UID[:], uid)
			err := ledger.DecodeEntry([]byte(text), &e)
			found = append(found, e)
			return err
		})
		return err
	})
	return found, err
}

// Private

// targets are where the columns of a row are scanned to.
func targets(row *statement.Row) (all []any) {
	numbers, texts, sums := row.Targets()
	for _, n := range numbers {
		all = append(all, n)
	}
	for _, text := range texts {
		all = append(all, text)
	}
	for _, n := range sums {
		all = append(all, n)
	}
	return all
}
