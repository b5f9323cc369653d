package sqliteledger_test

import (
	"context"
	"path/filepath"
	"testing"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
	"mnemo/ledger/sqliteledger"
)

func TestMain(m *testing.M) {
	ledgertest.Main(m, func(ctx context.Context, url string) (ledger.Store, error) {
		return sqliteledger.Open(ctx, sqliteledger.Options{Path: url})
	})
}

func TestStore_passes_the_suite(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledgertest.Backend {
		path := filepath.Join(t.TempDir(), "ledger.db")
		return ledgertest.Backend{URL: path, Open: func(t testing.TB) ledger.Store { return opened(t, path) }}
	})
}

func opened(t testing.TB, path string) *sqliteledger.Store {
	t.Helper()
	s, err := sqliteledger.Open(t.Context(), sqliteledger.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
