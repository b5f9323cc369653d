package redisstore_test

import (
	"context"
	"strconv"
	"testing"
	"time"

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

func backend(url string, advance func(time.Duration)) storetest.Backend {
	return storetest.Backend{
		URL: url,
		Open: func(t *testing.T, opts storetest.Options) memory.Store {
			return open(t, redisstore.Options{URL: url, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes})
		},
		Advance: advance,
	}
}

// age takes d from what every key has left to live, as if that time had passed.
func age(t *testing.T, server *redisserver.Server, d time.Duration) {
	t.Helper()
	said, err := server.Do("EVAL", `
		for _, key in ipairs(redis.call('KEYS', '*')) do
			local left = redis.call('PTTL', key)
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
	return s
}
