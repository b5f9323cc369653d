package redisstore_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest"
	"mnemo/memory/storetest/redisserver"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		return redisstore.Open(ctx, redisstore.Options{URL: url})
	})
}

func TestStore_passes_the_suite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		server := redisserver.Start(t)
		return backend("redis://"+server.Addr, func(d time.Duration) { age(t, server, d) })
	})
}

func TestStore_passes_the_suite_on_a_cluster(t *testing.T) {
	nodes := redisserver.StartCluster(t, 3)
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		for _, node := range nodes {
			if said, err := node.Do("FLUSHALL"); err != nil || said != "+OK" {
				t.Fatalf("flush: %q, %v", said, err)
			}
		}
		return backend("redis://"+nodes[0].Addr+","+nodes[1].Addr+"?cluster=true", func(d time.Duration) {
			for _, node := range nodes {
				age(t, node, d)
			}
		})
	})
}

func backend(url string, advance func(time.Duration)) storetest.Backend {
	return storetest.Backend{
		URL: url,
		Open: func(t *testing.T, opts storetest.Options) memory.Store {
			return open(t, redisstore.Options{URL: url, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes})
		},
		Advance: advance,
	}
}

// age takes d from what every key and lease has left, as if that time had passed.
func age(t *testing.T, server *redisserver.Server, d time.Duration) {
	t.Helper()
	said, err := server.Do("EVAL", `
		for _, key in ipairs(redis.call('KEYS', '*')) do
			local left = redis.call('PTTL', key)
			if redis.call('TYPE', key).ok == 'hash' and redis.call('HEXISTS', key, 'leased') == 1 then
				redis.call('HINCRBY', key, 'leased', -ARGV[1])
			end
			if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
		end
		return 'aged'`, "0", strconv.FormatInt(d.Milliseconds(), 10))
	if err != nil || said != "aged" {
		t.Fatalf("age: %q, %v", said, err)
	}
}

func open(t testing.TB, opts redisstore.Options) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(t.Context(), opts)
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

// exchange is a turn of a question and a fixed answer.
func exchange(t testing.TB, question string) memory.Turn {
	t.Helper()
	turn := memory.Turn{At: time.UnixMilli(1_700_000_000_000), Model: "gpt-4o"}
	for _, raw := range []string{`{"role":"user","content":"` + question + `"}`, `{"role":"assistant","content":"yes"}`} {
		m, err := memory.ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.Tokens = 5
		turn.Messages = append(turn.Messages, m)
	}
	return turn
}

// questions are what the turns of a session asked.
func questions(t testing.TB, s *redisstore.Store, key memory.Key) []string {
	t.Helper()
	turns, err := s.Turns(t.Context(), key, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	asked := make([]string, len(turns))
	for i := range turns {
		asked[i] = gjson.Get(turns[i].Messages[0].Raw, "content").String()
	}
	return asked
}

func wantQuestions(t testing.TB, s *redisstore.Store, key memory.Key, want ...string) {
	t.Helper()
	if got := questions(t, s, key); !slices.Equal(got, want) {
		t.Fatalf("the session asked %q, want %q", got, want)
	}
}

func wantGone(t testing.TB, s *redisstore.Store, key memory.Key) {
	t.Helper()
	got, err := s.Load(t.Context(), key, need)
	if err != nil || got.Seq != 0 || got.Revision != (memory.Revision{}) {
		t.Fatalf("loaded is %+v, %v", got, err)
	}
	if info, err := s.Info(t.Context(), key); !errors.Is(err, memory.ErrNotFound) {
		t.Fatalf("described as %+v, %v", info, err)
	}
}

func add(t testing.TB, s *redisstore.Store, key memory.Key, question string) {
	t.Helper()
	if _, err := s.Append(t.Context(), key, exchange(t, question)); err != nil {
		t.Fatal(err)
	}
}
