package sqliteledger

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/ledger"
	"mnemo/ledger/internal/statement"
)

// Usage implements ledger.Store.
func (s *Store) Usage(ctx context.Context, q ledger.Query) (ledger.Report, error) {
	if err := q.Settle(); err != nil {
		return ledger.Report{}, err
	}
	var report ledger.Report
	err := s.read(ctx, "add up ledger", func(c *sqlite.Conn) error {
		text, args := texts.Usage(&q)
		return sqlitex.ExecuteTransient(c, text, &sqlitex.ExecOptions{
			Args: args,
			ResultFunc: func(q *sqlite.Stmt) error {
				scan(q).Into(&report)
				return nil
			},
		})
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
	err := s.read(ctx, "find call in ledger", func(c *sqlite.Conn) error {
		return sqlitex.Execute(c, `SELECT uid, at, tenant, session, id, entry FROM calls JOIN entries USING (call)
			WHERE id = ?1 AND (tenant = ?2 OR ?3) ORDER BY at DESC, calls.call DESC LIMIT ?4`, &sqlitex.ExecOptions{
			Args: []any{ledger.Plain(id), of.Tenant, of.AllTenants, ledger.MaxCalls},
			ResultFunc: func(q *sqlite.Stmt) error {
				e := ledger.Entry{
					Time: time.UnixMilli(q.ColumnInt64(1)).UTC(), Tenant: q.ColumnText(2), Session: q.ColumnText(3), ID: q.ColumnText(4),
				}
				q.ColumnBytes(0, e.UID[:])
				err := ledger.DecodeEntry([]byte(q.ColumnText(5)), &e)
				found = append(found, e)
				return err
			},
		})
	})
	return found, err
}

// Private

func scan(q *sqlite.Stmt) *statement.Row {
	row, at := new(statement.Row), 0
	numbers, texts, sums := row.Targets()
	for _, n := range numbers {
		*n = q.ColumnInt64(at)
		at++
	}
	for _, text := range texts {
		*text = q.ColumnText(at)
		at++
	}
	for _, n := range sums {
		*n = q.ColumnInt64(at)
		at++
	}
	return row
}
