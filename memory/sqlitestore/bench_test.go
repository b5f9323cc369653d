package sqlitestore

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
)

// benchTurn is an ordinary exchange: a question and an answer of 300 bytes each.
func benchTurn(b testing.TB) memory.Turn {
	b.Helper()
	text := fmt.Sprintf("%0300d", 0)
	turn := memory.Turn{Model: "gpt-4o", At: time.Now()}
	for _, role := range []string{"user", "assistant"} {
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

func BenchmarkAppend(b *testing.B) {
	for _, relaxed := range []bool{false, true} {
		for _, n := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("goroutines=%d/relaxed=%v", n, relaxed), func(b *testing.B) {
				s := opened(b, Options{Path: filepath.Join(b.TempDir(), "b.db"), Relaxed: relaxed})
				defer s.Close()
				turn := benchTurn(b)
				var next atomic.Int64
				b.SetParallelism(n/2 + n%2)
				b.ReportAllocs()
				b.ResetTimer()
				body := func(more func() bool) {
					for more() {
						if _, err := s.Append(b.Context(), benchKey(next.Add(1)%1000), turn); err != nil {
							b.Error(err)
							return
						}
					}
				}
				if n == 1 {
					i := 0
					body(func() bool { i++; return i <= b.N })
					return
				}
				b.RunParallel(func(pb *testing.PB) { body(pb.Next) })
			})
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	need := memory.Need{Messages: 50}
	for _, stored := range []int{10, 100, 1000} {
		s := opened(b, Options{Path: filepath.Join(b.TempDir(), "b.db"), Relaxed: true})
		defer s.Close()
		turn := benchTurn(b)
		for range stored {
			if _, err := s.Append(b.Context(), benchKey(0), turn); err != nil {
				b.Fatal(err)
			}
		}
		load := func(b *testing.B) {
			got, err := s.Load(b.Context(), benchKey(0), need)
			if err != nil || len(got.Turns) < min(stored, 25) {
				b.Fatalf("%d turns, %v", len(got.Turns), err)
			}
		}
		b.Run(fmt.Sprintf("cold/turns=%d", stored), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.cache.Drop(benchKey(0))
				load(b)
			}
		})
		b.Run(fmt.Sprintf("cached/turns=%d", stored), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				load(b)
			}
		})
	}
}

// BenchmarkTurn is what a call costs a store, a load and an append, when many are
// under way. The tails of 200 sessions fit into the cache, those of 5000 do not.
func BenchmarkTurn(b *testing.B) {
	for _, sessions := range []int64{200, 5000} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			s := opened(b, Options{Path: filepath.Join(b.TempDir(), "b.db")})
			defer s.Close()
			turn := benchTurn(b)
			var next atomic.Int64
			b.SetParallelism(64)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key := benchKey(next.Add(1) % sessions)
					if _, err := s.Load(b.Context(), key, memory.Need{Messages: 50}); err != nil {
						b.Error(err)
					}
					if _, err := s.Append(b.Context(), key, turn); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkFind is what it costs to find a place far back in a log: the first time
// the index is made, then it is used, with as many turns after it as it may lack.
func BenchmarkFind(b *testing.B) {
	const n = 10_000
	path := filepath.Join(b.TempDir(), "b.db")
	s := opened(b, Options{Path: path, Relaxed: true})
	defer s.Close()
	var snap memory.Snapshot
	for i := range int64(n) {
		turn := benchTurn(b)
		turn.Seq, turn.Messages[0].Hash[0], turn.Messages[0].Hash[1] = i+1, byte(i), byte(i>>8)
		snap.Turns = append(snap.Turns, turn)
	}
	if err := snap.Settle(); err != nil {
		b.Fatal(err)
	}
	find := func(b *testing.B, key memory.Key) {
		if seq, err := s.Find(b.Context(), key, snap.Turns[5].Links()); err != nil || seq != 6 {
			b.Fatalf("turn %d, %v", seq, err)
		}
	}
	b.Run("first", func(b *testing.B) {
		for i := range b.N {
			b.StopTimer()
			if err := s.Import(b.Context(), benchKey(int64(i)), &snap); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			find(b, benchKey(int64(i)))
			b.StopTimer()
			if err := s.Delete(b.Context(), benchKey(int64(i))); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := s.Import(b.Context(), benchKey(0), &snap); err != nil {
		b.Fatal(err)
	}
	for range unlinked {
		if _, err := s.Append(b.Context(), benchKey(0), benchTurn(b)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			find(b, benchKey(0))
		}
	})
}

// BenchmarkSessions reads the first page of a tenant that has many.
func BenchmarkSessions(b *testing.B) {
	s := opened(b, Options{Path: filepath.Join(b.TempDir(), "b.db"), Relaxed: true})
	defer s.Close()
	const n = 20_000
	turn, began := benchTurn(b), time.Now()
	for i := range int64(n) {
		turn.At = began.Add(time.Duration(i) * time.Second)
		if _, err := s.Append(b.Context(), benchKey(i), turn); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]memory.Query{
		"tenant": {Tenant: benchKey(0).Tenant}, "all": {AllTenants: true},
		"middle": {Tenant: benchKey(0).Tenant, After: &memory.Cursor{Updated: began.Add(n / 2 * time.Second)}},
		"search": {Tenant: benchKey(0).Tenant, Search: "no such title"},
	} {
		q.Limit = 50
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sessions(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
