package pgstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/pgstore"
	"mnemo/memory/storetest"
	"mnemo/memory/storetest/pgserver"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		return pgstore.Open(ctx, pgstore.Options{URL: url})
	})
}

func TestStore_passes_the_suite(t *testing.T) {
	server := pgserver.Start(t)
	schemas := 0
	storetest.RunFull(t, func(*testing.T) storetest.Backend {
		schemas++
		url := fmt.Sprint(server.URL(), "pool_max_conns=8&search_path=Suite", schemas)
		var passed atomic.Int64
		return storetest.Backend{
			URL: url,
			Open: func(t *testing.T, opts storetest.Options) memory.Store {
				s, err := pgstore.Open(t.Context(), pgstore.Options{
					URL: url, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes,
					Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
				})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Advance: func(d time.Duration) { passed.Add(int64(d)) },
		}
	})
}

func opened(t testing.TB, opts pgstore.Options) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
