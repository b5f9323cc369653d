package redisledger_test

import (
	"context"
	"testing"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
	"mnemo/ledger/redisledger"
	"mnemo/memory/storetest/redisserver"
)

func TestMain(m *testing.M) {
	ledgertest.Main(m, func(ctx context.Context, url string) (ledger.Store, error) {
		return redisledger.Open(ctx, redisledger.Options{URL: url})
	})
}

func TestStore_passes_the_suite(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledgertest.Backend {
		return backend("redis://" + redisserver.Start(t).Addr)
	})
}

func TestStore_passes_the_suite_on_a_cluster(t *testing.T) {
	nodes := redisserver.StartCluster(t, 3)
	ledgertest.Run(t, func(t *testing.T) ledgertest.Backend {
		for _, node := range nodes {
			if said, err := node.Do("FLUSHALL"); err != nil || said != "+OK" {
				t.Fatalf("flush: %q, %v", said, err)
			}
		}
		return backend("redis://" + nodes[0].Addr + "," + nodes[1].Addr + "?cluster=true")
	})
}

func backend(url string) ledgertest.Backend {
	return ledgertest.Backend{URL: url, Open: func(t testing.TB) ledger.Store {
		return opened(t, redisledger.Options{URL: url})
	}}
}

func opened(t testing.TB, opts redisledger.Options) *redisledger.Store {
	t.Helper()
	s, err := redisledger.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkAppend(b *testing.B) {
	s := opened(b, redisledger.Options{URL: "redis://" + redisserver.Start(b).Addr})
	defer s.Close()
	ledgertest.BenchmarkAppend(b, s)
}

func BenchmarkUsage(b *testing.B) {
	s := opened(b, redisledger.Options{URL: "redis://" + redisserver.Start(b).Addr})
	defer s.Close()
	ledgertest.BenchmarkUsage(b, s)
}
