package redisledger_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
	"mnemo/ledger/redisledger"
	"mnemo/memory/storetest/redisserver"
)

var everybody = ledger.Scope{AllTenants: true}

func entries(n int) []ledger.Entry {
	r, all := rand.New(rand.NewPCG(1, 1)), make([]ledger.Entry, n)
	for i := range all {
		all[i] = ledgertest.Entry(r, uint64(i))
		all[i].Tenant, all[i].Session, all[i].Time = "t", "s", time.Date(2026, 3, 2, 13, 30, 0, 0, time.UTC)
	}
	return all
}

func TestOpen_refuses_a_bad_url(t *testing.T) {
	if s, err := redisledger.Open(t.Context(), redisledger.Options{URL: "redis://:s3cret@h/db"}); s != nil || !errors.Is(err, redisledger.ErrURL) {
		t.Errorf("open: %v", err)
	}
}

func TestOpen_refuses_a_wrong_password(t *testing.T) {
	server := redisserver.Start(t, "--requirepass", "right")
	s, err := redisledger.Open(t.Context(), redisledger.Options{URL: "redis://:wr0ng@" + server.Addr})
	if s != nil || err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("%v", err)
	}
	s = opened(t, redisledger.Options{URL: "redis://:right@" + server.Addr})
	if err := errors.Join(s.Append(t.Context(), entries(1)), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestStore_goes_on_when_the_server_comes_back(t *testing.T) {
	server := redisserver.Start(t)
	server.Kill()
	var log bytes.Buffer
	s := opened(t, redisledger.Options{URL: "redis://" + server.Addr, Log: slog.New(slog.NewTextHandler(&log, nil))})
	defer s.Close()
	if err := s.Append(t.Context(), entries(1)); err == nil || !strings.Contains(err.Error(), server.Addr) || !strings.Contains(log.String(), "cannot be reached") {
		t.Errorf("%v; the log says %s", err, log.String())
	}
	for n := 1; n < 3; n++ {
		server.Restart(t) // it does not know the scripts
		if err := s.Append(t.Context(), entries(n*10)); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Usage(t.Context(), ledger.Query{Scope: everybody}); err != nil || r.Total.Calls != int64(n*10) {
			t.Fatalf("%d calls, %v", r.Total.Calls, err)
		}
		server.Kill()
	}
}

func TestStore_keeps_the_sums_of_calls_that_expired(t *testing.T) {
	server := redisserver.Start(t)
	s := opened(t, redisledger.Options{URL: "redis://" + server.Addr, Keep: 24 * time.Hour})
	defer s.Close()
	if err := s.Append(t.Context(), entries(20)); err != nil {
		t.Fatal(err)
	}
	expire := `local n = 0
		for _, key in ipairs(redis.call('KEYS', '*')) do
			local left = redis.call('TTL', key)
			if left > 71 * 3600 and left <= 72 * 3600 then n = n + redis.call('DEL', key) end
		end
		return n`
	if said, err := server.Do("EVAL", expire, "0"); err != nil || said != ":4" {
		t.Fatalf("expired are %s, %v", said, err)
	}
	for _, roll := range []bool{false, true} {
		if roll {
			if err := s.Roll(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.Usage(t.Context(), ledger.Query{Scope: ledger.Scope{Tenant: "t"}, GroupBy: []ledger.Dimension{ledger.BySession, ledger.ByDay}})
		if err != nil || len(r.Rows) != 1 || r.Rows[0].Calls != 20 || r.Rows[0].Session != "" {
			t.Errorf("rolled up %v: %+v, %v", roll, r, err)
		}
	}
	if found, err := s.Call(t.Context(), everybody, entries(1)[0].ID); err != nil || len(found) != 0 {
		t.Errorf("%d calls are found, %v", len(found), err)
	}
}

func TestStores_with_other_prefixes_know_nothing_of_each_other(t *testing.T) {
	url := "redis://" + redisserver.Start(t).Addr
	a, b := opened(t, redisledger.Options{URL: url, Prefix: "a"}), opened(t, redisledger.Options{URL: url, Prefix: "b"})
	defer a.Close()
	defer b.Close()
	if err := a.Append(t.Context(), entries(3)); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Usage(t.Context(), ledger.Query{Scope: everybody}); err != nil || r.Total.Calls != 0 {
		t.Errorf("%d calls, %v", r.Total.Calls, err)
	}
}

func TestStore_says_when_a_row_is_damaged(t *testing.T) {
	server := redisserver.Start(t)
	s := opened(t, redisledger.Options{URL: "redis://" + server.Addr})
	defer s.Close()
	if err := s.Append(t.Context(), entries(1)); err != nil {
		t.Fatal(err)
	}
	damage := `for _, key in ipairs(redis.call('KEYS', '*')) do
			for _, what in ipairs({'rows:', 'sums:'}) do
				if string.find(key, what) then redis.call('HSET', key, '\255\255', '\255\255') end
			end
		end
		return 'done'`
	if said, err := server.Do("EVAL", damage, "0"); err != nil || said != "done" {
		t.Fatal(said, err)
	}
	for _, q := range []ledger.Query{{Scope: everybody}, {Scope: everybody, Session: "s"}} {
		if _, err := s.Usage(t.Context(), q); err == nil || !strings.Contains(err.Error(), "2026-03-02T13:00:00Z: a row of the ledger is damaged") {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
