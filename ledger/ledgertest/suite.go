// Package ledgertest is the suite that every ledger.Store passes.
package ledgertest

import (
	"context"
	"testing"
	"time"

	"mnemo/ledger"
)

// patience bounds a test.
const patience = 2 * time.Minute

// A Backend is where a store keeps its entries; each test gets an empty one.
type Backend struct {
	URL  string // what Main's function opens, in another process
	Open func(t testing.TB) ledger.Store
}

// Run runs the suite.
func Run(t *testing.T, fresh func(t *testing.T) Backend) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, b Backend)
	}{
		{"keeps an entry whole", whole},
		{"keeps an entry once", once},
		{"takes no entry without a UID", anonymous},
		{"finds the newest calls of an id", newest},
		{"keeps tenants apart", apart},
		{"keeps hostile texts", hostile},
		{"adds up exactly", exact},
		{"adds up an empty ledger", empty},
		{"refuses queries that make no sense", refused},
		{"forgets a session", forgotten},
		{"adds up exactly while it rolls and is written", concurrent},
		{"loses no more than an interval when it is killed", killed},
		{"says when it is closed", closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t)) })
	}
}

// Private

func (b Backend) open(t testing.TB) ledger.Store {
	t.Helper()
	s := b.Open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func add(ctx context.Context, t *testing.T, s ledger.Store, entries ...ledger.Entry) {
	t.Helper()
	if err := s.Append(ctx, entries); err != nil {
		t.Fatal(err)
	}
}

func usage(ctx context.Context, t *testing.T, s ledger.Store, q ledger.Query) ledger.Report {
	t.Helper()
	r, err := s.Usage(ctx, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return r
}

var everybody = ledger.Scope{AllTenants: true}
