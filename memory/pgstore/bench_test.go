package pgstore_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"mnemo/memory"
	"mnemo/memory/pgstore"
	"mnemo/memory/storetest/pgserver"
)

// benchTurn is an ordinary exchange: a question and an answer of 300 bytes each.
func benchTurn(b *testing.B) memory.Turn {
	b.Helper()
	text := fmt.Sprintf("%0300d", 0)
	turn := memory.Turn{Model: "gpt-4o"}
	for _, role := range []string{memory.RoleUser, memory.RoleAssistant} {
		m, err := memory.ParseMessage(`{"role":"` + role + `","content":"` + text + `"}`)
		if err != nil {
			b.Fatal(err)
		}
		m.Tokens = 75
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

func benchKey(i int64) memory.Key {
	return memory.Key{Tenant: "tenant-of-some-length", Session: fmt.Sprintf("session-%012d", i)}
}

// BenchmarkAppend waits for the disk, as PostgreSQL does by default.
func BenchmarkAppend(b *testing.B) {
	server := pgserver.Start(b, "fsync=on", "full_page_writes=on")
	for _, n := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("goroutines=%d", n), func(b *testing.B) {
			s := opened(b, pgstore.Options{URL: server.URL()})
			turn := benchTurn(b)
			var next atomic.Int64
			many(b, n, func() error {
				own := turn
				own.ID = memory.NewTurnID()
				_, err := s.Append(b.Context(), benchKey(next.Add(1)%1000), own)
				return err
			})
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	server := pgserver.Start(b)
	need := memory.Need{Messages: 50}
	for name, cache := range map[string]int64{"cold": -1, "cached": 0} {
		for _, stored := range []int{10, 100, 1000} {
			s := opened(b, pgstore.Options{URL: server.URL(), CacheBytes: cache})
			turn := benchTurn(b)
			key := benchKey(int64(stored))
			if session, err := s.Load(b.Context(), key, need); err != nil || session.Seq == 0 {
				for range stored {
					if _, err := s.Append(b.Context(), key, turn); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.Run(fmt.Sprintf("%s/turns=%d", name, stored), func(b *testing.B) {
				many(b, 1, func() error {
					got, err := s.Load(b.Context(), key, need)
					if len(got.Turns) < min(stored, 25) {
						b.Fatalf("%d turns, %v", len(got.Turns), err)
					}
					return err
				})
			})
		}
	}
}

// BenchmarkTurn is what a call costs a store, a load and an append, when many are
// under way. The tails of 200 sessions fit into the cache, those of 5000 do not.
func BenchmarkTurn(b *testing.B) {
	server := pgserver.Start(b, "fsync=on", "full_page_writes=on")
	for _, sessions := range []int64{200, 5000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			s := opened(b, pgstore.Options{URL: server.URL()})
			turn := benchTurn(b)
			var next atomic.Int64
			many(b, 128, func() error {
				key := benchKey(next.Add(1) % sessions)
				if _, err := s.Load(b.Context(), key, memory.Need{Messages: 50}); err != nil {
					return err
				}
				own := turn
				own.ID = memory.NewTurnID()
				_, err := s.Append(b.Context(), key, own)
				return err
			})
		})
	}
}

// many runs f by n goroutines.
func many(b *testing.B, n int, f func() error) {
	b.ReportAllocs()
	if n == 1 {
		for b.Loop() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.SetParallelism(max(1, n/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
