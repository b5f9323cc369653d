package redisstore_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

// need is what composing a prompt of some thousand tokens asks for.
var need = memory.Need{Tokens: 8000, Groups: 1, Messages: 8}

func BenchmarkAppend(b *testing.B) {
	s := open(b, redisstore.Options{URL: "redis://" + redisserver.Start(b).Addr})
	turn := talk(b)
	each(b, func(k memory.Key) {
		if _, err := s.Append(b.Context(), k, turn); err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkCall is what a chat call costs: a load, then an append.
func BenchmarkCall(b *testing.B) {
	s := open(b, redisstore.Options{URL: "redis://" + redisserver.Start(b).Addr})
	turn := talk(b)
	each(b, func(k memory.Key) {
		if _, err := s.Load(b.Context(), k, need); err != nil {
			b.Error(err)
		}
		if _, err := s.Append(b.Context(), k, turn); err != nil {
			b.Error(err)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	url := "redis://" + redisserver.Start(b).Addr
	for name, cache := range map[string]int{"cached": 256 << 20, "cold": -1} {
		for _, turns := range []int{10, 100, 1000} {
			s := open(b, redisstore.Options{URL: url, CacheBytes: cache})
			tenant := fmt.Sprint(name, turns)
			for i := range 32 {
				for range turns {
					if _, err := s.Append(b.Context(), memory.Key{Tenant: tenant, Session: fmt.Sprint(i)}, talk(b)); err != nil {
						b.Fatal(err)
					}
				}
			}
			all := memory.Need{Groups: turns}
			b.Run(fmt.Sprintf("%s/%d", name, turns), func(b *testing.B) {
				each(b, func(k memory.Key) {
					k.Tenant = tenant
					if got, err := s.Load(b.Context(), k, all); err != nil || len(got.Turns) < turns {
						b.Error(len(got.Turns), err)
					}
				})
			})
		}
	}
}

// BenchmarkSessions lists a page out of many sessions.
func BenchmarkSessions(b *testing.B) {
	s := open(b, redisstore.Options{URL: "redis://" + redisserver.Start(b).Addr})
	const sessions = 5000
	var wg sync.WaitGroup
	for g := range 50 {
		wg.Go(func() {
			turn := talk(b)
			for i := range sessions / 50 {
				turn.At = turn.At.Add(time.Millisecond)
				if _, err := s.Append(b.Context(), memory.Key{Tenant: "t", Session: fmt.Sprint(g, "-", i)}, turn); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for name, q := range map[string]memory.Query{
		"first": {Tenant: "t", Limit: 50}, "search": {Tenant: "t", Limit: 1, Search: "nowhere"},
		"middle": {Tenant: "t", Limit: 50, IdleSince: time.UnixMilli(1_700_000_000_050)},
	} {
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

// each runs f serially and by 32 goroutines, each of which has a session.
func each(b *testing.B, f func(k memory.Key)) {
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f(memory.Key{Tenant: "serial", Session: "0"})
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var sessions atomic.Int64
		b.SetParallelism(32 / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			k := memory.Key{Tenant: "parallel", Session: fmt.Sprint(sessions.Add(1) - 1)}
			for pb.Next() {
				f(k)
			}
		})
	})
}

// talk is a turn of about 1 kB.
func talk(b *testing.B) memory.Turn {
	t := memory.Turn{At: time.UnixMilli(1_700_000_000_000), Model: "gpt-4o", System: `[{"role":"system","content":"` + strings.Repeat("be brief ", 20) + `"}]`}
	for role, n := range map[string]int{memory.RoleUser: 20, memory.RoleAssistant: 60} {
		m, err := memory.ParseMessage(`{"role":"` + role + `","content":"` + strings.Repeat("some words ", n) + `"}`)
		if err != nil {
			b.Fatal(err)
		}
		m.Tokens = 2 * n
		t.Messages = append(t.Messages, m)
	}
	return t
}
