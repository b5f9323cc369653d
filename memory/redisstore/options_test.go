package redisstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

func TestOpen_refuses_a_bad_url(t *testing.T) {
	if s, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://:secret@h/db"}); s != nil || !errors.Is(err, redisstore.ErrURL) {
		t.Errorf("open: %v", err)
	}
}

func TestStore_keeps_databases_apart(t *testing.T) {
	server := redisserver.Start(t)
	one := open(t, redisstore.Options{URL: "redis://" + server.Addr + "/1"})
	other := open(t, redisstore.Options{URL: "unix://" + server.Socket + "?db=2"})
	add(t, one, key, "of one")
	wantQuestions(t, other, key)
	wantQuestions(t, one, key, "of one")
}

func TestStore_keeps_installations_with_other_prefixes_apart(t *testing.T) {
	server := redisserver.Start(t)
	a := open(t, redisstore.Options{URL: "redis://" + server.Addr, Prefix: "a"})
	b := open(t, redisstore.Options{URL: "redis://" + server.Addr, Prefix: "b"})
	add(t, a, key, "of a")
	wantQuestions(t, b, key)
	wantQuestions(t, a, key, "of a")
}

func TestPing_fails_where_nothing_can_be_written(t *testing.T) {
	primary, server := redisserver.Start(t), redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	host, port, _ := strings.Cut(primary.Addr, ":")
	if said, err := server.Do("REPLICAOF", host, port); err != nil || said != "+OK" {
		t.Fatalf("replicaof: %q, %v", said, err)
	}
	if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("ping of a replica: %v", err)
	}
	full := redisserver.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	if _, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + full.Addr}); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("open of a full redis: %v", err)
	}
}

func TestOpen_warns_if_redis_keeps_nothing_on_disk(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		warned bool
	}{
		{[]string{"--appendonly", "no"}, true},
		{[]string{"--appendonly", "yes"}, false},
		{[]string{"--appendonly", "no", "--rename-command", "CONFIG", ""}, false},
	} {
		server := redisserver.Start(t, tt.args...)
		var log bytes.Buffer
		open(t, redisstore.Options{URL: "redis://" + server.Addr, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if warned := strings.Contains(log.String(), "level=WARN"); warned != tt.warned {
			t.Errorf("%v: the log is %q", tt.args, log.String())
		}
	}
}

func TestStore_forgets_the_time_to_live_when_it_is_switched_off(t *testing.T) {
	server := redisserver.Start(t)
	mortal := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: time.Hour})
	add(t, mortal, key, "1")
	immortal := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	add(t, immortal, key, "2")
	age(t, server, 2*time.Hour)
	wantQuestions(t, immortal, key, "1", "2")
	add(t, mortal, key, "3")
	age(t, server, 2*time.Hour)
	wantQuestions(t, immortal, key)
}

func TestStore_says_that_a_turn_cannot_be_read(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr, CacheBytes: -1})
	for _, bad := range []string{"1 1 5 no json", "1 1 5 {}", `1 1 5 {"v":9,"messages":[]}`, `1 1 5 {"v":1,"messages":[1]}`} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		add(t, s, key, "whole")
		said, err := server.Do("EVAL", `
			local key = redis.call('KEYS', '*:session:*')[1]
			redis.call('HSET', key, 1, ARGV[1])
			return 'done'`, "0", bad)
		if err != nil || said != "done" {
			t.Fatalf("spoil: %q, %v", said, err)
		}
		if _, err := s.Load(t.Context(), key, need); !errors.Is(err, memory.ErrCodec) {
			t.Errorf("load of %s: %v", bad, err)
		}
		if _, err := s.Turns(t.Context(), key, 0, 1); !errors.Is(err, memory.ErrCodec) {
			t.Errorf("turns of %s: %v", bad, err)
		}
	}
}

func TestStore_says_that_a_head_cannot_be_read(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr, CacheBytes: -1})
	for field, bad := range map[string]string{
		"summary": `{"v":9}`, "spent": "x", "created": "x", "seq": "x", "branch": "1e", "dead": "x", "tokens": "x", "summaries": "x",
	} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		whole(t, s, key)
		said, err := server.Do("EVAL", `
			redis.call('HSET', redis.call('KEYS', '*:session:*')[1], ARGV[1], ARGV[2])
			return 'done'`, "0", field, bad)
		if err != nil || said != "done" {
			t.Fatalf("spoil: %q, %v", said, err)
		}
		_, loadErr := s.Load(t.Context(), key, need)
		_, infoErr := s.Info(t.Context(), key)
		if loadErr == nil && infoErr == nil {
			t.Errorf("%s = %s was read", field, bad)
		}
		if field == "summary" && (!errors.Is(loadErr, memory.ErrCodec) || !errors.Is(infoErr, memory.ErrCodec)) {
			t.Errorf("%s = %s: %v, %v", field, bad, loadErr, infoErr)
		}
	}
}

func TestStore_leaves_a_key_of_somebody_else_alone(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	add(t, s, key, "mine")
	said, err := server.Do("EVAL", `
		local key = redis.call('KEYS', '*:session:*')[1]
		redis.call('SET', key, 'a string')
		return 'done'`, "0")
	if err != nil || said != "done" {
		t.Fatalf("spoil: %q, %v", said, err)
	}
	if _, err := s.Load(t.Context(), key, need); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("load: %v", err)
	}
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("append: %v", err)
	}
}
