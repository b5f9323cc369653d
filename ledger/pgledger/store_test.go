package pgledger_test

import (
	"context"
	"testing"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
	"mnemo/ledger/pgledger"
	"mnemo/memory/storetest/pgserver"
)

func TestMain(m *testing.M) {
	ledgertest.Main(m, func(ctx context.Context, url string) (ledger.Store, error) {
		return pgledger.Open(ctx, pgledger.Options{URL: url})
	})
}

func TestStore_passes_the_suite(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledgertest.Backend {
		url := pgserver.Fresh(t).URL()
		return ledgertest.Backend{URL: url, Open: func(t testing.TB) ledger.Store { return opened(t, url) }}
	})
}

func opened(t testing.TB, url string) *pgledger.Store {
	t.Helper()
	s, err := pgledger.Open(t.Context(), pgledger.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkAppend(b *testing.B) {
	s := opened(b, pgserver.Fresh(b).URL())
	defer s.Close()
	ledgertest.BenchmarkAppend(b, s)
}

func BenchmarkUsage(b *testing.B) {
	s := opened(b, pgserver.Fresh(b).URL())
	defer s.Close()
	ledgertest.BenchmarkUsage(b, s)
}
