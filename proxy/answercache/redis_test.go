package answercache

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory/storetest/redisserver"
)

const (
	// patient is for a machine that is busy with other tests.
	patient = 20 * time.Second
	// soon bounds what a real clock or another process has to bring about.
	soon = 20 * time.Second
)

func TestRedis(t *testing.T) {
	server := redisserver.Start(t, "--appendonly", "no")
	testCache(t, func(t *testing.T) Cache {
		return openRedis(t, RedisOptions{URL: "redis://" + server.Addr, Prefix: t.Name(), Timeout: patient})
	})
}

func TestRedis_of_a_cluster(t *testing.T) {
	nodes := redisserver.StartCluster(t, 2)
	url := "redis://" + nodes[0].Addr + "," + nodes[1].Addr + "?cluster=true"
	testCache(t, func(t *testing.T) Cache {
		return openRedis(t, RedisOptions{URL: url, Prefix: t.Name(), Timeout: patient})
	})
}

func TestRedis_is_shared(t *testing.T) {
	opts := RedisOptions{URL: "redis://" + redisserver.Start(t).Addr, Timeout: patient}
	one, two, a := openRedis(t, opts), openRedis(t, opts), mustAnswer(t, samples["tool calls"])
	tag := TagOf("shop", "1")
	one.Put(t.Context(), keyNumber(1), a, Terms{Keep: time.Hour, Tag: tag})
	if got, age, ok := two.Get(t.Context(), keyNumber(1)); !ok || got != a || age > time.Minute {
		t.Errorf("%t: %s, %v old", ok, got.JSON(), age)
	}
	if err := two.Drop(t.Context(), tag); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := one.Get(t.Context(), keyNumber(1)); ok {
		t.Error("it is there after another process dropped it")
	}
}

func TestRedis_forgets_in_time_and_leaves_nothing(t *testing.T) {
	server := redisserver.Start(t)
	r, a := openRedis(t, RedisOptions{URL: "redis://" + server.Addr, Timeout: patient}), mustAnswer(t, samples["text"])
	r.Put(t.Context(), keyNumber(1), a, Terms{Keep: 300 * time.Millisecond, Route: "r", MaxEntries: 7, Tag: TagOf("shop", "1")})
	poll(t, "the cache is not empty", func() bool {
		size, err := server.Do("DBSIZE")
		return err == nil && size == ":0"
	})
	if _, _, ok := r.Get(t.Context(), keyNumber(1)); ok {
		t.Error("it is there")
	}
}

func TestRedis_tells_the_age(t *testing.T) {
	r, a := openRedis(t, RedisOptions{URL: "redis://" + redisserver.Start(t).Addr, Timeout: patient}), mustAnswer(t, samples["text"])
	r.Put(t.Context(), keyNumber(1), a, Terms{Keep: time.Hour})
	poll(t, "it does not age", func() bool {
		_, age, ok := r.Get(t.Context(), keyNumber(1))
		return ok && age >= 20*time.Millisecond
	})
}

func TestRedis_holds_nothing_of_a_request(t *testing.T) {
	server := redisserver.Start(t)
	r, a := openRedis(t, RedisOptions{URL: "redis://" + server.Addr, Timeout: patient}), mustAnswer(t, samples["a short text"])
	key := mustKey(t, "the-tenant", `{"messages":[{"role":"user","content":"the-question"}]}`)
	r.Put(t.Context(), key, a, Terms{Keep: time.Hour, Route: "gpt-*", MaxEntries: 7, Tag: TagOf("the-tenant", "the-session")})
	if _, _, ok := r.Get(t.Context(), key); !ok {
		t.Fatal("nothing was put")
	}
	names, err := server.Do("EVAL", "return table.concat(redis.call('KEYS', '*'), ' ')", "0")
	if err != nil || !strings.Contains(names, "mnemo:answer:"+hex.EncodeToString(key[:])) {
		t.Fatalf("%s, %v", names, err)
	}
	stored, err := server.Do("GET", "mnemo:answer:"+hex.EncodeToString(key[:]))
	if err != nil || !strings.HasSuffix(stored, string(a.JSON())) {
		t.Fatalf("%q, %v", stored, err)
	}
	for _, secret := range []string{"the-tenant", "the-question", "the-session"} {
		if strings.Contains(names+stored, secret) {
			t.Errorf("%s is in %q or %q", secret, names, stored)
		}
	}
}

func TestRedis_that_is_away_has_nothing_and_says_so_once(t *testing.T) {
	server, log := redisserver.Start(t), &syncBuffer{}
	r := openRedis(t, RedisOptions{URL: "redis://" + server.Addr, Timeout: patient, Log: slog.New(slog.NewTextHandler(log, nil))})
	a, hour := mustAnswer(t, samples["text"]), Terms{Keep: time.Hour, Route: "r", MaxEntries: 7, Tag: TagOf("shop", "1")}
	r.Put(t.Context(), keyNumber(1), a, hour)
	server.Kill()
	for i := range 20 {
		if _, _, ok := r.Get(t.Context(), keyNumber(1)); ok {
			t.Error("it has an answer")
		}
		r.Put(t.Context(), keyNumber(2), a, hour)
		r.mu.Lock()
		if i%2 == 0 {
			r.restUntil = time.Time{} // as if a second had passed
		}
		r.mu.Unlock()
	}
	if told := strings.Count(log.String(), "cannot be reached"); told != 1 {
		t.Errorf("the log tells it %d times:\n%s", told, log)
	}
	if err := r.Drop(t.Context(), hour.Tag); err == nil {
		t.Error("it has dropped what it cannot reach")
	}
	server.Restart(t)
	poll(t, "it does not come back", func() bool {
		got, _, ok := r.Get(t.Context(), keyNumber(1))
		return ok && got == a
	})
	if err := r.Drop(t.Context(), hour.Tag); err != nil {
		t.Error(err)
	}
}

func TestRedis_that_does_not_answer_costs_little(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r := openRedis(t, RedisOptions{URL: "redis://" + silent.Addr().String()})
	for range 1000 { // at 50 ms each they would take the test's whole time
		if _, _, ok := r.Get(t.Context(), keyNumber(1)); ok {
			t.Fatal("it has an answer")
		}
	}
	if !r.rests() {
		t.Error("it is asked again at once")
	}
}

func TestRedis_is_not_blamed_for_a_caller_who_has_left(t *testing.T) {
	log := &syncBuffer{}
	r := openRedis(t, RedisOptions{URL: "redis://" + redisserver.Start(t).Addr, Timeout: patient, Log: slog.New(slog.NewTextHandler(log, nil))})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, _, ok := r.Get(gone, keyNumber(1)); ok || r.rests() || log.String() != "" {
		t.Errorf("%t, rests %t, logged %s", ok, r.rests(), log)
	}
}

func TestRedis_knows_no_answer_in_what_others_stored(t *testing.T) {
	server := redisserver.Start(t)
	r := openRedis(t, RedisOptions{URL: "redis://" + server.Addr, Timeout: patient})
	for i, stored := range []string{"", "x", strings.Repeat("x", 100), strings.Repeat("x", 40) + samples["text"][:80]} {
		key := keyNumber(i)
		if _, err := server.Do("SET", "mnemo:answer:"+hex.EncodeToString(key[:]), stored, "EX", "100"); err != nil {
			t.Fatal(err)
		}
		if a, _, ok := r.Get(t.Context(), key); ok {
			t.Errorf("%.50q is %s", stored, a.JSON())
		}
	}
}

func TestNewRedis_refuses_a_bad_url(t *testing.T) {
	if r, err := NewRedis(RedisOptions{URL: "redis://:secret@h/db"}); r != nil || !errors.Is(err, ErrURL) {
		t.Errorf("new: %v", err)
	}
}

func openRedis(t *testing.T, opts RedisOptions) *Redis {
	t.Helper()
	r, err := NewRedis(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// poll waits for what another process does.
func poll(t *testing.T, not string, done func() bool) {
	t.Helper()
	end := time.After(soon)
	for !done() {
		select {
		case <-end:
			t.Fatal(not)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
