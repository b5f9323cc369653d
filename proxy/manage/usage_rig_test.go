package manage

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"mnemo/ledger"
	"mnemo/ledger/sqliteledger"
)

// newAccountRig serves the API with a ledger that holds the entries.
func newAccountRig(t *testing.T, entries ...ledger.Entry) *rig {
	t.Helper()
	store := newLedger(t, entries...)
	return newRig(t, func(o *Options) { o.Ledger = store })
}

func newLedger(t *testing.T, entries ...ledger.Entry) ledger.Store {
	t.Helper()
	store, err := sqliteledger.Open(context.Background(), sqliteledger.Options{Path: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	for i := range entries {
		entries[i].Bound()
		binary.BigEndian.PutUint64(entries[i].UID[8:], uint64(i+1))
	}
	if err := store.Append(context.Background(), entries); err != nil {
		t.Fatal(err)
	}
	return store
}

// callAt is a call of Ada's that began so long ago.
func callAt(ago time.Duration, change func(*ledger.Entry)) ledger.Entry {
	e := ledger.Entry{
		ID: "req-1", Time: today.Add(-ago), Operation: ledger.OperationChat, Tenant: "ada", Session: "trip",
		ModelAsked: "gpt-4o", ModelUsed: "gpt-4o-2024-11-20", Upstream: "openai", Key: "a",
		Usage: ledger.Usage{Input: 100, CachedInput: 40, Output: 10}, Measured: true, Cost: 250_000, Priced: true,
		Latency: 1500 * time.Millisecond, Status: 200,
		Attempts: []ledger.Attempt{{Upstream: "openai", Key: "a", Model: "gpt-4o", Outcome: "ok", Status: 200, Duration: time.Second}},
	}
	if change != nil {
		change(&e)
	}
	return e
}
