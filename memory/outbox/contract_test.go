package outbox

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
	"mnemo/memory/storetest"
)

func TestMain(m *testing.M) {
	if spoolAndWait() {
		return
	}
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		s, err := sqlitestore.Open(ctx, sqlitestore.Options{Path: url})
		if err != nil {
			return nil, err
		}
		return Open(Options{Store: s})
	})
}

func TestOutbox_keeps_the_contract_of_its_store(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		path := filepath.Join(t.TempDir(), "a.db")
		var passed atomic.Int64
		return storetest.Backend{
			URL: path,
			Open: func(t *testing.T, opts storetest.Options) memory.Store {
				s, err := sqlitestore.Open(t.Context(), sqlitestore.Options{
					Path: path, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes,
					Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
				})
				if err != nil {
					t.Fatal(err)
				}
				o, err := Open(Options{Store: s, SpoolDir: t.TempDir()})
				if err != nil {
					t.Fatal(err)
				}
				return o
			},
			Advance: func(d time.Duration) { passed.Add(int64(d)) },
		}
	})
}
