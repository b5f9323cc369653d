package redisstore_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

// sessions are the ids of the sessions that a query selects.
func sessions(t testing.TB, s *redisstore.Store, q memory.Query) []string {
	t.Helper()
	q.Limit = 10_000
	list, err := s.Sessions(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, info := range list {
		ids = append(ids, info.Key.Session)
	}
	return ids
}

// everything is all keys and values that a server has, as one text.
func everything(t testing.TB, server *redisserver.Server) string {
	t.Helper()
	said, err := server.Do("EVAL", `
		local all = {}
		local read = {
			hash = function(key) return redis.call('HGETALL', key) end,
			zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
			set = function(key) return redis.call('SMEMBERS', key) end,
			string = function(key) return {redis.call('GET', key)} end,
		}
		for _, key in ipairs(redis.call('KEYS', '*')) do
			all[#all + 1] = key
			for _, value in ipairs(read[redis.call('TYPE', key).ok](key)) do
				all[#all + 1] = value
			end
		end
		return table.concat(all, ' ')`, "0")
	if err != nil || strings.HasPrefix(said, "-") {
		t.Fatalf("read everything: %s, %v", said, err)
	}
	return said
}

// indexed is what the index of all tenants together has.
func indexed(t testing.TB, server *redisserver.Server) int {
	t.Helper()
	said, err := server.Do("EVAL", `
		local n = 0
		for _, key in ipairs(redis.call('KEYS', '*:sessions:*')) do
			n = n + redis.call('ZCARD', key)
		end
		return tostring(n)`, "0")
	n, nerr := strconv.Atoi(said)
	if err != nil || nerr != nil {
		t.Fatalf("count the index: %q, %v", said, err)
	}
	return n
}

// whole gives a session all that one can have.
func whole(t *testing.T, s *redisstore.Store, key memory.Key) {
	t.Helper()
	for i := range 3 {
		turn := exchange(t, fmt.Sprint("of ", key.Session, " ", i))
		turn.ID, turn.System, turn.Persona = memory.NewTurnID(), `["system of `+key.Session+`"]`, "persona of "+key.Session
		if i == 2 {
			turn.Supersedes = memory.Span{First: 2, Last: 2}
		}
		if _, err := s.Append(t.Context(), key, turn); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Load(t.Context(), key, need)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Compact(t.Context(), key, got.Revision, &memory.Summary{Text: "summary of " + key.Session, UpTo: 1}); err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Lease(t.Context(), key, "holder of "+key.Session, time.Hour); err != nil || !ok {
		t.Fatalf("lease: %v, %v", ok, err)
	}
}

func TestDelete_leaves_no_key_that_mentions_the_session(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	secret, other := memory.Key{Tenant: "tenant", Session: "s3cret"}, memory.Key{Tenant: "tenant", Session: "other"}
	whole(t, s, other)
	whole(t, s, secret)
	if before := everything(t, server); strings.Count(before, "s3cret") < 8 {
		t.Fatalf("the session is nowhere in %q", before)
	}
	if err := s.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if left := everything(t, server); strings.Contains(left, "s3cret") || !strings.Contains(left, "summary of other") {
		t.Errorf("left is %q", left)
	}
	if err := s.DeleteAt(t.Context(), other, 3); err != nil {
		t.Fatal(err)
	}
	if left := everything(t, server); strings.Contains(left, "other") || strings.Contains(left, "tenant ") {
		t.Errorf("left of the tenant's last session is %q", left)
	}
}

func TestStore_leaves_nothing_of_what_expired(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: time.Hour})
	whole(t, s, key)
	imported := memory.Key{Tenant: "another", Session: "imported"}
	if err := s.Import(t.Context(), imported, logOf(t, 3, "words")); err != nil {
		t.Fatal(err)
	}
	age(t, server, time.Hour)
	for _, k := range []memory.Key{key, imported} {
		wantGone(t, s, k)
	}
	age(t, server, time.Hour) // an index lives at most twice as long
	if left := everything(t, server); left != "" {
		t.Errorf("left is %q", left)
	}
}

func TestSessions_skips_and_removes_what_is_not_there(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	var want []string
	for i := range 30 {
		k := memory.Key{Tenant: key.Tenant, Session: fmt.Sprintf("s%02d", i)}
		add(t, s, k, "hi")
		want = append(want, k.Session)
	}
	slices.Reverse(want)
	if said, err := server.Do("EVAL", `
		for _, index in ipairs(redis.call('KEYS', '*:sessions:*')) do
			for i = 1, 2000 do redis.call('ZADD', index, 1800000000000 + i, 'ghost' .. i) end
		end
		redis.call('SADD', 'mnemo:tenants', 'nobody')
		return 'haunted'`, "0"); err != nil || said != "haunted" {
		t.Fatalf("haunt: %q, %v", said, err)
	}
	for _, q := range []memory.Query{{Tenant: key.Tenant, Limit: 1}, {AllTenants: true, Limit: 1}} {
		if page, err := s.Sessions(t.Context(), q); err != nil || len(page) != 1 || page[0].Key.Session != "s29" {
			t.Errorf("%+v: %+v, %v", q, page, err)
		}
	}
	if got := sessions(t, s, memory.Query{AllTenants: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("listed are %q", got)
	}
	if n := indexed(t, server); n != 30 {
		t.Errorf("%d places are left in the index", n)
	}
}

func TestSessions_pages_through_thousands_of_one_moment(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	const n = 3000
	var wg sync.WaitGroup
	for g := range 10 {
		wg.Go(func() {
			for i := range n / 10 {
				add(t, s, memory.Key{Tenant: fmt.Sprint("t", i%2), Session: fmt.Sprintf("s%04d", g*n/10+i)}, "hi")
			}
		})
	}
	wg.Wait()
	for q, want := range map[*memory.Query]int{{AllTenants: true}: n, {Tenant: "t1"}: n / 2} {
		seen, last := 0, "~"
		for q.Limit = 70; ; {
			page, err := s.Sessions(t.Context(), *q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, info := range page {
				if info.Key.Session >= last {
					t.Fatalf("%s comes after %s", info.Key.Session, last)
				}
				last = info.Key.Session
			}
			seen += len(page)
			end := page[len(page)-1]
			q.After = &memory.Cursor{Updated: end.Updated, Key: end.Key}
		}
		if seen != want {
			t.Errorf("listed are %d of %d", seen, want)
		}
	}
}

func TestStore_bounds_an_index_that_nobody_reads(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: time.Hour})
	for i := range 1000 {
		add(t, s, memory.Key{Tenant: "tenant", Session: fmt.Sprint(i)}, "hi")
		if i%10 == 9 { // the last ten are alive
			age(t, server, 30*time.Minute)
			add(t, s, memory.Key{Tenant: "tenant", Session: "lasting"}, "hi")
		}
	}
	if n := indexed(t, server); n > 300 {
		t.Errorf("of 1000 sessions that expired %d are in the index", n)
	}
	if got := sessions(t, s, memory.Query{Tenant: "tenant", Search: "lasting"}); len(got) != 1 {
		t.Errorf("listed are %q", got)
	}
}

func TestStore_lists_for_ever_what_lives_for_ever(t *testing.T) {
	server := redisserver.Start(t)
	mortal := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: time.Hour})
	immortal := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	first, second := memory.Key{Tenant: "tenant", Session: "first"}, memory.Key{Tenant: "tenant", Session: "second"}
	add(t, mortal, first, "hi")
	add(t, immortal, first, "hi") // it was mortal
	add(t, mortal, second, "hi")
	age(t, server, 10*time.Hour)
	for _, q := range []memory.Query{{Tenant: "tenant"}, {AllTenants: true}} {
		if got := sessions(t, immortal, q); !slices.Equal(got, []string{"first"}) {
			t.Errorf("%+v: listed are %q", q, got)
		}
	}
}

func TestStore_keeps_an_index_as_long_as_any_session_of_it(t *testing.T) {
	server := redisserver.Start(t)
	short := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: time.Hour})
	long := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: 10 * time.Hour})
	add(t, long, memory.Key{Tenant: "tenant", Session: "long"}, "hi")
	add(t, short, memory.Key{Tenant: "tenant", Session: "short"}, "hi")
	for range 3 {
		age(t, server, 3*time.Hour)
		if got := sessions(t, short, memory.Query{AllTenants: true}); !slices.Equal(got, []string{"long"}) {
			t.Fatalf("listed are %q", got)
		}
	}
}
