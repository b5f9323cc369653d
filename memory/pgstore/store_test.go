package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/pgstore"
	"mnemo/memory/storetest"
	"mnemo/memory/storetest/pgserver"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func(ctx context.Context, url string) (memory.Store, error) {
		return pgstore.Open(ctx, pgstore.Options{URL: url})
	})
}

func TestStore_passes_the_suite(t *testing.T) {
	server := pgserver.Fresh(t)
	schemas := 0
	storetest.Run(t, func(*testing.T) storetest.Backend {
		schemas++
		url := fmt.Sprint(server.URL(), "pool_max_conns=8&search_path=Suite", schemas)
		var passed atomic.Int64
		return storetest.Backend{
			URL: url,
			Open: func(t *testing.T, opts storetest.Options) memory.Store {
				s, err := pgstore.Open(t.Context(), pgstore.Options{
					URL: url, TTL: opts.TTL, MaxSessionBytes: opts.MaxSessionBytes,
					Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
				})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Advance: func(d time.Duration) { passed.Add(int64(d)) },
		}
	})
}

// tables are those that have rows of sessions.
var tables = []string{"sessions", "details", "turns", "links", "leases"}

func TestStore_leaves_no_row_of_a_session_that_was_deleted_or_expired(t *testing.T) {
	server := pgserver.Fresh(t)
	const ttl = time.Hour
	var passed atomic.Int64
	s := opened(t, pgstore.Options{
		URL: server.URL(), TTL: ttl, SweepInterval: 10 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(passed.Load())) },
	})
	fill := func(i int) memory.Key {
		k := memory.Key{Tenant: "t", Session: fmt.Sprint(i)}
		turn := exchange(t, "x")
		turn.System, turn.Persona = `["system"]`, "persona"
		for range 2 {
			if _, err := s.Append(t.Context(), k, turn); err != nil {
				t.Fatal(err)
			}
		}
		if held, err := s.Lease(t.Context(), k, "holder", time.Minute); err != nil || !held {
			t.Fatal(held, err)
		}
		return k
	}
	k := fill(0)
	wantRows(t, server, 1, 1, 2, 2, 1)
	if err := s.Delete(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	wantRows(t, server, 0, 0, 0, 0, 0)
	for i := range 150 { // more than one transaction sweeps
		fill(i)
	}
	passed.Store(int64(ttl))
	eventually(t, func() error {
		said, err := server.Do(t.Context(), "SELECT count(*) FROM mnemo.sessions")
		if err == nil && said != "0" {
			err = fmt.Errorf("%s sessions are left", said)
		}
		return err
	})
	wantRows(t, server, 0, 0, 0, 0, 0)
}

func wantRows(t *testing.T, server pgserver.Database, want ...int) {
	t.Helper()
	for i, table := range tables {
		said, err := server.Do(t.Context(), "SELECT count(*) FROM mnemo."+table)
		if err != nil || said != fmt.Sprint(want[i]) {
			t.Errorf("%s has %s rows, %v; want %d", table, said, err, want[i])
		}
	}
}

func TestStore_keeps_bytes_that_are_no_text(t *testing.T) {
	s := opened(t, pgstore.Options{URL: pgserver.Fresh(t).URL()})
	const odd = "\x00 \xff\xfe \\ ' \" $1 $body$ é\u2028"
	turn := exchange(t, "x")
	turn.ID, turn.System, turn.Persona, turn.Seq = odd, odd, odd, 1
	snapshot := &memory.Snapshot{Title: odd, System: odd, Persona: odd, Turns: []memory.Turn{turn}}
	snapshot.Turns[0].System, snapshot.Turns[0].Persona = "", ""
	if err := snapshot.Settle(); err != nil {
		t.Fatal(err)
	}
	imported := memory.Key{Tenant: "t", Session: "imported"}
	if err := s.Import(t.Context(), imported, snapshot); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), key, turn); err != nil {
		t.Fatal(err)
	}
	turn.Redelivered = true
	for _, k := range []memory.Key{key, imported} {
		if seq, err := s.Append(t.Context(), k, turn); err != nil || seq != 1 {
			t.Errorf("%s again: seq %d, %v", k.Session, seq, err)
		}
		info, err := s.Info(t.Context(), k)
		if err != nil || info.System != odd || info.Persona != odd || (k == imported && info.Title != odd) {
			t.Errorf("%s: %q, %q, %q, %v", k.Session, info.Title, info.System, info.Persona, err)
		}
		if held, err := s.Lease(t.Context(), k, odd, time.Minute); err != nil || !held {
			t.Errorf("%s: lease %v, %v", k.Session, held, err)
		}
	}
	page, err := s.Sessions(t.Context(), memory.Query{Tenant: "t", Search: "\x00 \xff", Limit: 9})
	if folded := memory.Fold("\x00 \xff"); err != nil || len(page) != 1 || !strings.Contains(memory.Fold(odd), folded) {
		t.Errorf("found %v, %v", page, err)
	}
}

func TestAppend_stores_a_turn_once_that_arrives_twice_at_a_time(t *testing.T) {
	server := pgserver.Fresh(t)
	handles := []*pgstore.Store{opened(t, pgstore.Options{URL: server.URL()}), opened(t, pgstore.Options{URL: server.URL()})}
	for i := range 20 {
		turn := exchange(t, fmt.Sprint(i))
		turn.ID = memory.NewTurnID()
		var wg sync.WaitGroup
		for j := range 8 {
			wg.Go(func() {
				own := turn
				own.Redelivered = j%3 == 0
				if seq, err := handles[j%2].Append(t.Context(), key, own); err != nil || seq != int64(i+1) {
					t.Errorf("turn %d: seq %d, %v", i+1, seq, err)
				}
			})
		}
		wg.Wait()
	}
	for _, s := range handles {
		if got, err := s.Load(t.Context(), key, memory.Need{Groups: 100}); err != nil || len(got.Turns) != 20 || got.Totals.Turns != 20 {
			t.Errorf("%d turns, %+v, %v", len(got.Turns), got.Totals, err)
		}
	}
}

func TestAppend_waits_for_others_whatever_the_default_isolation_is(t *testing.T) {
	s := opened(t, pgstore.Options{URL: pgserver.Fresh(t).URL() + "default_transaction_isolation=serializable"})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			if _, err := s.Append(t.Context(), key, exchange(t, fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := s.Load(t.Context(), key, need); err != nil || got.Seq != 64 {
		t.Errorf("load: seq %d, %v", got.Seq, err)
	}
}

func TestStore_says_that_a_session_cannot_be_read(t *testing.T) {
	server := pgserver.Fresh(t)
	s := opened(t, pgstore.Options{URL: server.URL(), CacheBytes: -1})
	add(t, s, key, "whole")
	for _, bad := range []string{"no json", "{}", `{"v":9,"messages":[]}`, `{"v":1,"messages":[1]}`} {
		if _, err := server.Do(t.Context(), "UPDATE mnemo.turns SET turn = convert_to('"+bad+"', 'UTF8')"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(t.Context(), key, need); !errors.Is(err, memory.ErrCodec) {
			t.Errorf("load of %s: %v", bad, err)
		}
		if turns, err := s.Turns(t.Context(), key, 0, 1); !errors.Is(err, memory.ErrCodec) || len(turns) > 0 {
			t.Errorf("turns of %s: %v, %v", bad, turns, err)
		}
	}
	if _, err := server.Do(t.Context(), "UPDATE mnemo.sessions SET summaries = 1; UPDATE mnemo.details SET summary = 'no json'"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), key, memory.Need{}); !errors.Is(err, memory.ErrCodec) {
		t.Errorf("load of a bad summary: %v", err)
	}
	if info, err := s.Info(t.Context(), key); !errors.Is(err, memory.ErrCodec) || !reflect.DeepEqual(info, memory.Info{}) {
		t.Errorf("info of a bad summary: %+v, %v", info, err)
	}
}

var (
	key  = memory.Key{Tenant: "tenant", Session: "session"}
	need = memory.Need{Tokens: 1000, Groups: 10, Messages: 10}
)

func opened(t testing.TB, opts pgstore.Options) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), opts)
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

func add(t testing.TB, s *pgstore.Store, key memory.Key, question string) {
	t.Helper()
	if _, err := s.Append(t.Context(), key, exchange(t, question)); err != nil {
		t.Fatal(err)
	}
}

// wantQuestions checks what the turns of a session asked.
func wantQuestions(t testing.TB, s *pgstore.Store, key memory.Key, want ...string) {
	t.Helper()
	turns, err := s.Turns(t.Context(), key, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	asked := make([]string, len(turns))
	for i := range turns {
		asked[i] = gjson.Get(turns[i].Messages[0].Raw, "content").String()
	}
	if !slices.Equal(asked, want) {
		t.Fatalf("the session asked %q, want %q", asked, want)
	}
}

// eventually waits for what happens in the background or in another process.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	if err := soon(check); err != nil {
		t.Fatal(err)
	}
}

func soon(check func() error) error {
	end := time.After(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-end:
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}
