package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

// logOf is a settled session of n turns that begin with the same words.
func logOf(t *testing.T, n int, words string) *memory.Snapshot {
	t.Helper()
	at := time.UnixMilli(1_700_000_000_000)
	snap := &memory.Snapshot{Title: "a log", Created: at, Updated: at}
	for i := range n {
		turn := exchange(t, fmt.Sprint(words, " ", i))
		turn.Seq = int64(i + 1)
		snap.Turns = append(snap.Turns, turn)
	}
	if err := snap.Settle(); err != nil {
		t.Fatal(err)
	}
	return snap
}

func TestImport_takes_a_session_of_many_parts(t *testing.T) {
	server := redisserver.Start(t)
	s := open(t, redisstore.Options{URL: "redis://" + server.Addr, TTL: time.Hour})
	snap := logOf(t, 12, strings.Repeat("x", 1<<20))
	snap.Turns = append(snap.Turns, logOf(t, 400, "short").Turns...)
	for i := range snap.Turns {
		snap.Turns[i].Seq = int64(i + 1)
	}
	if err := snap.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := s.Import(t.Context(), key, snap); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load(t.Context(), key, memory.Need{Groups: len(snap.Turns)})
	if err != nil || len(got.Turns) != len(snap.Turns) || got.Totals != snap.Totals {
		t.Fatalf("loaded are %d turns, %+v, %v", len(got.Turns), got.Totals, err)
	}
	for i := range got.Turns {
		if got.Turns[i].Messages[0].Raw != snap.Turns[i].Messages[0].Raw {
			t.Fatalf("turn %d is not what it was", i+1)
		}
	}
	age(t, server, 2*time.Hour) // what was written beside it had less to live
	if _, err := s.Info(t.Context(), key); !errors.Is(err, memory.ErrNotFound) {
		t.Errorf("described after its time: %v", err)
	}
}

func TestImport_of_one_session_by_many_succeeds_once(t *testing.T) {
	server := redisserver.Start(t)
	handles := []*redisstore.Store{open(t, redisstore.Options{URL: "redis://" + server.Addr}), open(t, redisstore.Options{URL: "redis://" + server.Addr})}
	var wg sync.WaitGroup
	var imported atomic.Int64
	for i := range 8 {
		snap := logOf(t, 10*(i+1), "words")
		wg.Go(func() {
			switch err := handles[i%2].Import(t.Context(), key, snap); {
			case err == nil:
				imported.Store(int64(len(snap.Turns)))
			case !errors.Is(err, memory.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := handles[0].Load(t.Context(), key, need); err != nil || got.Seq != imported.Load() {
		t.Errorf("the session has %d turns, imported were %d, %v", got.Seq, imported.Load(), err)
	}
	if said, err := server.Do("EVAL", `return tostring(#redis.call('KEYS', '*:import:*'))`, "0"); err != nil || said != "0" {
		t.Errorf("%s half written sessions are left, %v", said, err)
	}
}

func TestImport_succeeds_or_can_be_tried_again_whatever_reply_is_lost(t *testing.T) {
	server := redisserver.Start(t)
	snap := logOf(t, 3, "words")
	for replies := range 3 { // there is none, it is written, it is in its place
		wire := listen(t, server.Addr)
		s := open(t, redisstore.Options{URL: "redis://" + wire.addr})
		k := memory.Key{Tenant: "t", Session: fmt.Sprint(replies)}
		wantGone(t, s, k) // all connections are there
		wire.loseAfter(replies)
		err := s.Import(t.Context(), k, snap)
		if replies == 1 && err != nil { // a transaction is not sent again by itself
			err = s.Import(t.Context(), k, snap)
		}
		if err != nil {
			t.Errorf("import without reply %d: %v", replies, err)
		}
		if wire.lose.Load() {
			t.Errorf("reply %d was not lost", replies)
		}
		wantQuestions(t, s, k, "words 0", "words 1", "words 2")
	}
}

func TestImport_that_was_not_finished_leaves_nothing(t *testing.T) {
	server := redisserver.Start(t)
	wire := listen(t, server.Addr)
	s := open(t, redisstore.Options{URL: "redis://" + wire.addr + "?max_retries=-1"})
	wantGone(t, s, key) // all connections are there
	wire.loseAfter(1)
	if err := s.Import(t.Context(), key, logOf(t, 3, "words")); err == nil || wire.lose.Load() {
		t.Fatalf("import whose reply was lost: %v", err)
	}
	if said, err := server.Do("EVAL", `return tostring(#redis.call('KEYS', '*:import:*'))`, "0"); err != nil || said != "1" {
		t.Fatalf("%s half written sessions are there, %v", said, err)
	}
	wantGone(t, s, key)
	age(t, server, time.Minute)
	if left := everything(t, server); strings.Contains(left, "words") {
		t.Errorf("left is %q", left)
	}
}
