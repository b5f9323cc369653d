package redisstore_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

// olderSession makes a session as the program before this one left it.
func olderSession(t *testing.T, server *redisserver.Server, s *redisstore.Store) {
	t.Helper()
	add(t, s, key, "to name the key")
	turn := func(question string) string {
		return `2 1 10 {"v":1,"at":1700000000000,"model":"gpt-4o","messages":[` +
			`{"tokens":5,"hash":"","message":{"role":"user","content":"` + question + `"}},` +
			`{"tokens":5,"hash":"","message":{"role":"assistant","content":"yes"}}]}`
	}
	said, err := server.Do("EVAL", `
		local key = redis.call('KEYS', '*:session:*')[1]
		redis.call('FLUSHALL')
		redis.call('HSET', key, 'epoch', '7', 'tenant', ARGV[3], 'session', ARGV[4], 'seq', 2, '1', ARGV[1], '2', ARGV[2],
			'messages', 4, 'groups', 2, 'tokens', 20, 'bytes', 130, 'system', '["be brief"]', 'instructed', 1,
			'created', 1700000000000, 'updated', 1700000000000, 'recent', ' 12:1 13:2')
		return 'done'`, "0", turn("1"), turn("2"), key.Tenant, key.Session)
	if err != nil || said != "done" {
		t.Fatalf("write: %q, %v", said, err)
	}
}

func TestStore_goes_on_with_a_session_of_an_older_version(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	olderSession(t, server, s)
	cold := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	for _, h := range []*redisstore.Store{s, cold} {
		got, err := h.Load(t.Context(), key, need)
		want := memory.Totals{Turns: 2, Messages: 4, Groups: 2, Tokens: 20, Bytes: 130}
		if err != nil || got.Seq != 2 || len(got.Turns) != 2 || got.Totals != want || got.System != `["be brief"]` || got.Revision != (memory.Revision{Life: 7}) {
			t.Fatalf("loaded is %+v, %v", got, err)
		}
	}
	wantQuestions(t, s, key, "1", "2")
	created := time.UnixMilli(1_700_000_000_000)
	info, err := s.Info(t.Context(), key)
	if err != nil || info.Title != "" || info.Seq != 2 || info.Totals.Turns != 2 || info.Spent != (memory.Spent{}) || !info.Created.Equal(created) {
		t.Fatalf("described as %+v, %v", info, err)
	}
	turn := exchange(t, "2")
	if seq, err := s.Find(t.Context(), key, turn.Links()); err != nil || seq != 0 {
		t.Errorf("found is turn %d of those without links, %v", seq, err)
	}
	if list := sessions(t, s, memory.Query{Tenant: key.Tenant}); len(list) != 0 {
		t.Errorf("listed before its next turn: %q", list)
	}

	edit := exchange(t, "2'")
	edit.Supersedes = memory.Span{First: 2, Last: 2}
	if seq, err := cold.Append(t.Context(), key, edit); err != nil || seq != 3 {
		t.Fatalf("append: seq %d, %v", seq, err)
	}
	for _, h := range []*redisstore.Store{s, cold} {
		got, err := h.Load(t.Context(), key, need)
		if err != nil || len(got.Turns) != 2 || got.Turns[1].Seq != 3 || got.Totals.Turns != 2 || got.Totals.Tokens != 20 {
			t.Fatalf("after an edit loaded is %+v, %v", got, err)
		}
	}
	if info, err = s.Info(t.Context(), key); err != nil || info.Title != "2'" || info.Spent.Unpriced != 1 {
		t.Errorf("after an edit described as %+v, %v", info, err)
	}
	if list := sessions(t, s, memory.Query{Tenant: key.Tenant}); !reflect.DeepEqual(list, []string{key.Session}) {
		t.Errorf("listed after its next turn: %q", list)
	}
}

func TestAppend_knows_a_turn_by_any_id(t *testing.T) {
	s := open(t, redisstore.Options{URL: "redis://" + redisserver.Start(t).Addr})
	ids := []string{"plain", "with space", `"quoted\"`, "a:1", " 1:2 ", "名\x00\n", strings.Repeat("long", 1000), `x","at":1`, "%d+", "plai"}
	for i, id := range ids {
		turn := exchange(t, fmt.Sprint(i))
		turn.ID = id
		if seq, err := s.Append(t.Context(), key, turn); err != nil || seq != int64(i+1) {
			t.Fatalf("append of %q: seq %d, %v", id, seq, err)
		}
	}
	for range 20 { // all are beyond what is remembered of the last turns
		add(t, s, key, "other")
	}
	for i, id := range ids {
		turn := exchange(t, "again")
		turn.ID, turn.Redelivered = id, true
		if seq, err := s.Append(t.Context(), key, turn); err != nil || seq != int64(i+1) {
			t.Errorf("append of %q again: seq %d, %v", id, seq, err)
		}
	}
	turn := exchange(t, `,\"id\":\"in a message\"`)
	turn.ID, turn.Redelivered = "in a message", true
	if seq, err := s.Append(t.Context(), key, turn); err != nil || seq != int64(len(ids)+21) {
		t.Errorf("append of an id that only a message has: seq %d, %v", seq, err)
	}
}

func TestAppend_takes_a_turn_with_thousands_of_links(t *testing.T) {
	s := open(t, redisstore.Options{URL: "redis://" + redisserver.Start(t).Addr})
	add(t, s, key, "0")
	turn := memory.Turn{At: time.UnixMilli(1_700_000_000_000)}
	for i := range 3000 { // each question twice: two turns share a link, and two places in one
		one := exchange(t, fmt.Sprint(i/2))
		turn.Messages = append(turn.Messages, one.Messages...)
	}
	if seq, err := s.Append(t.Context(), key, turn); err != nil || seq != 2 {
		t.Fatalf("append: seq %d, %v", seq, err)
	}
	first, last := exchange(t, "0"), exchange(t, "1499")
	for _, links := range [][]memory.Link{first.Links(), last.Links()} {
		if seq, err := s.Find(t.Context(), key, links); err != nil || seq != 2 {
			t.Errorf("found is turn %d, %v", seq, err)
		}
	}
	edit := exchange(t, "instead")
	edit.Supersedes = memory.Span{First: 2, Last: 2}
	if seq, err := s.Append(t.Context(), key, edit); err != nil || seq != 3 {
		t.Fatalf("edit: seq %d, %v", seq, err)
	}
	for want, links := range map[int64][]memory.Link{1: first.Links(), 0: last.Links()} {
		if seq, err := s.Find(t.Context(), key, links); err != nil || seq != want {
			t.Errorf("found is turn %d, %v, want %d", seq, err, want)
		}
	}
}

func TestAppend_supersedes_thousands_of_turns(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr})
	snap := logOf(t, 5000, "words")
	if err := s.Import(t.Context(), key, snap); err != nil {
		t.Fatal(err)
	}
	edit := exchange(t, "instead of all but one")
	edit.Supersedes = memory.Span{First: 2, Last: 5000}
	if seq, err := s.Append(t.Context(), key, edit); err != nil || seq != 5001 {
		t.Fatalf("append: seq %d, %v", seq, err)
	}
	for _, cache := range []int{0, -1} {
		h := open(t, redisstore.Options{URL: "redis://" + server.Addr, CacheBytes: cache})
		got, err := h.Load(t.Context(), key, memory.Need{Groups: 10})
		if err != nil || len(got.Turns) != 2 || got.Turns[0].Seq != 1 || got.Turns[1].Seq != 5001 || got.Totals.Turns != 2 || got.Totals.Tokens != 20 {
			t.Fatalf("loaded are %d turns of %+v, %v", len(got.Turns), got.Totals, err)
		}
	}
}

func TestStore_counts_costs_of_any_size(t *testing.T) {
	s := open(t, redisstore.Options{URL: "redis://" + redisserver.Start(t).Addr})
	var want memory.Spent
	for _, cost := range []int64{1, 1 << 50, 999_999_999_999_999, -3, 0} {
		turn := exchange(t, "dear")
		turn.Usage = memory.Usage{Input: 1 << 40, CachedInput: -1, Output: 3, Cost: cost, Priced: true}
		want.Add(&turn.Usage)
		if _, err := s.Append(t.Context(), key, turn); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := s.Info(t.Context(), key); err != nil || info.Spent != want {
		t.Errorf("spent %+v, %v, want %+v", info.Spent, err, want)
	}
}
