package sqlitestore

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		return Open(ctx, Options{Path: url})
	})
}

func TestStore_keeps_the_contract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		path := filepath.Join(t.TempDir(), "it's a ?file#&%20.db")
		var passed atomic.Int64
		return storetest.Backend{
			URL: path,
			Open: func(t *testing.T, opts storetest.Options) memory.Store {
				return open1(t, Options{
					Path: path, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes,
					Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
				})
			},
			Advance: func(d time.Duration) { passed.Add(int64(d)) },
		}
	})
}

// open1 opens a store that the test closes.
func open1(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
