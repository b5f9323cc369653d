package redisstore_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

func TestStore_spreads_sessions_over_a_cluster(t *testing.T) {
	nodes := redisserver.StartCluster(t, 3)
	s := open(t, redisstore.Options{URL: "redis://" + nodes[0].Addr + "?cluster=true"})
	for i := range 30 {
		if _, err := s.Append(t.Context(), memory.Key{Tenant: "t", Session: fmt.Sprintf("{same}%d", i)}, exchange(t, "hi")); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		if said, err := node.Do("DBSIZE"); err != nil || said == ":0" {
			t.Errorf("a node has no session: %q, %v", said, err)
		}
	}
}

func TestStore_mends_the_index_of_a_cluster(t *testing.T) {
	nodes := redisserver.StartCluster(t, 3)
	url := "redis://" + nodes[0].Addr + "?cluster=true"
	s := open(t, redisstore.Options{URL: url})
	var want []string
	for i := range 20 {
		k := memory.Key{Tenant: "tenant", Session: fmt.Sprintf("s%02d", i)}
		add(t, s, k, "hi")
		want = append(want, k.Session)
	}
	slices.Reverse(want)
	onEach := func(script string) {
		t.Helper()
		for _, node := range nodes {
			if said, err := node.Do("EVAL", script, "0"); err != nil || said != "done" {
				t.Fatalf("%q, %v", said, err)
			}
		}
	}
	onEach(`
		for _, index in ipairs(redis.call('KEYS', '*:sessions:*')) do
			redis.call('ZADD', index, 1800000000000, 'written before a crash')
		end
		return 'done'`)
	if got := sessions(t, s, memory.Query{AllTenants: true}); !slices.Equal(got, want) {
		t.Errorf("listed are %q", got)
	}
	all := ""
	for _, node := range nodes {
		all += everything(t, node)
	}
	if strings.Contains(all, "before a crash") || strings.Count(all, "s07") < 2 {
		t.Errorf("left are %q", all)
	}
	onEach(`
		for _, index in ipairs(redis.call('KEYS', '*:sessions:*')) do
			redis.call('ZREM', index, 's07')
		end
		return 'done'`)
	add(t, s, memory.Key{Tenant: "tenant", Session: "s07"}, "its next turn")
	if got := sessions(t, s, memory.Query{Tenant: "tenant"}); !slices.Equal(got, want) {
		t.Errorf("after its next turn listed are %q", got)
	}
	for _, id := range want {
		if err := s.Delete(t.Context(), memory.Key{Tenant: "tenant", Session: id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		if left := everything(t, node); strings.Contains(left, ":session") {
			t.Errorf("left is %q", left)
		}
	}
}

// Beginning and deleting a session, over and over, must never end with one that is
// there and not listed: that none could find.
func TestStore_lists_a_session_that_began_while_it_was_deleted(t *testing.T) {
	urls := map[string]string{"one node": "redis://" + redisserver.Start(t).Addr, "a cluster": "redis://" + redisserver.StartCluster(t, 3)[0].Addr + "?cluster=true"}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			handles := []*redisstore.Store{open(t, redisstore.Options{URL: url}), open(t, redisstore.Options{URL: url})}
			for range 60 {
				var wg sync.WaitGroup
				for i, h := range handles {
					wg.Go(func() { add(t, h, key, fmt.Sprint(i)) })
					wg.Go(func() {
						if err := h.Delete(t.Context(), key); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				got, err := handles[0].Load(t.Context(), key, need)
				if err != nil {
					t.Fatal(err)
				}
				if listed := sessions(t, handles[1], memory.Query{Tenant: key.Tenant}); len(listed) != int(min(got.Seq, 1)) {
					t.Fatalf("a session of %d turns, listed are %q", got.Seq, listed)
				}
			}
		})
	}
}
