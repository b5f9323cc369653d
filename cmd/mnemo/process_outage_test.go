//go:build unix

package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory/storetest/redisserver"
)

const (
	// outage is how long Redis is gone while clients talk.
	outage = 4 * time.Second
	// loadClients each call once in loadPace: 100 calls a second.
	loadClients = 20
	loadPace    = 200 * time.Millisecond
	// bounded is longer than a call waits for a store that hangs, by far.
	bounded = 10 * time.Second
)

// Redis is killed in the middle of a load, and comes back with what it had.
func TestMnemo_loses_and_doubles_nothing_when_its_redis_is_killed_under_load(t *testing.T) {
	server := redisserver.Start(t)
	b := redisBackend(server)
	m := serve(t, b.setup(newFakeModel(t)))
	l := startLoad(t, m)
	l.answers(t, 100)
	server.Kill()
	l.phase.Store(storeDown)
	<-time.After(outage)
	l.phase.Store(storeUp)
	server.Restart(t)
	back := time.Now()
	m.log.wait(t, "the store is back")
	l.answers(t, 100)
	l.end()
	l.wantLogs(t, b.look(t))
	if l.bypassed.Load() == 0 {
		t.Error("no call was made while the store was down")
	}
	t.Logf("%d calls, %d of them in the outage of %v; all written %v after it; the slowest took %v",
		l.answered.Load(), l.bypassed.Load(), outage, time.Since(back).Round(time.Millisecond), time.Duration(l.slowest.Load()).Round(time.Millisecond))
}

// A stopped process still has its connections and answers nothing.
func TestMnemo_goes_on_while_its_redis_hangs(t *testing.T) {
	server := redisserver.Start(t)
	b := redisBackend(server)
	m := serve(t, setup{args: []string{"--upstream", newFakeModel(t).url, "--store", b.url}})
	everyone := conversations(m, "hang", 8)
	talkAll(t, everyone, 1)
	pid := redisPID(t, server)
	signalTo(t, pid, syscall.SIGSTOP)
	slowest := talkAll(t, everyone, 4)
	signalTo(t, pid, syscall.SIGCONT)
	if slowest > bounded {
		t.Errorf("a call took %v", slowest)
	}
	talkAll(t, everyone, 1)
	m.terminate(t) // what is queued is written before it ends
	m.wait(t)
	wantConversations(t, b.look(t), everyone)
	t.Logf("the slowest call took %v", slowest.Round(time.Millisecond))
}

func TestMnemo_refuses_calls_with_memory_while_a_store_that_is_needed_is_down(t *testing.T) {
	up, server := newFakeModel(t), redisserver.Start(t)
	o := redisBackend(server).setup(up)
	o.file = "store: {on_error: closed, load_timeout: 2s}\n"
	m := serve(t, o)
	m.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	server.Kill()
	for _, stream := range []bool{false, true} {
		a, _ := m.ask(t.Context(), turn{session: "s", text: "What is my name?", stream: stream})
		after, err := strconv.Atoi(a.header.Get("Retry-After"))
		if a.status != http.StatusServiceUnavailable || gjson.Get(a.body, "error.code").String() != "store_unavailable" || err != nil || after < 1 {
			t.Errorf("streamed %t: %d %s, Retry-After %q", stream, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	m.says(t, turn{text: "Hello."}, heard("Hello.")) // needs no store
	if calls := up.all(); len(calls) != 2 {
		t.Errorf("%d calls went upstream, want 2", len(calls))
	}
	server.Restart(t)
	m.wantReady(t)
	m.says(t, turn{session: "s", text: "What is my name?"}, "Your name is Ada.")
}

// What a process cannot write before it ends, the next one writes.
func TestMnemo_leaves_queued_turns_in_the_spool_for_the_next_process(t *testing.T) {
	server, dir := redisserver.Start(t), t.TempDir()
	spool := filepath.Join(dir, "spool")
	b := redisBackend(server)
	o := b.setup(newFakeModel(t))
	o.file = fmt.Sprintf("store: {load_timeout: 10s, queue: {spool: %q}}\n", spool)
	first := serve(t, o)
	everyone := conversations(first, "spool", 8)
	talkAll(t, everyone, 2)
	server.Kill()
	talkAll(t, everyone, 3)
	first.terminate(t)
	if code := first.wait(t); code != exitOK {
		t.Errorf("exits with %d; its log:\n%s", code, first.log)
	}
	if len(spooled(t, spool)) == 0 {
		t.Error("nothing is in the spool")
	}
	server.Restart(t)
	second := serve(t, o)
	second.log.wait(t, "turns of an earlier process are taken over")
	for _, c := range everyone {
		c.m = second
	}
	talkAll(t, everyone, 1)
	for _, c := range everyone {
		if c.status != "ok" {
			t.Errorf("%s is answered with memory %q", c.session, c.status)
		}
	}
	second.terminate(t)
	second.wait(t)
	wantConversations(t, b.look(t), everyone)
	if left := spooled(t, spool); len(left) != 0 {
		t.Errorf("the spool still holds %q", left)
	}
}

// Somebody has the file open and writes for a long time.
func TestMnemo_goes_on_while_its_database_is_locked(t *testing.T) {
	b := sqliteBackend(t)
	m := serve(t, b.setup(newFakeModel(t)))
	everyone := conversations(m, "lock", 8)
	talkAll(t, everyone, 1)
	other, err := sqlite.OpenConn(strings.TrimPrefix(b.url, "sqlite:"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetBusyTimeout(patience)
	execute := func(query string) {
		if err := sqlitex.ExecuteTransient(other, query, nil); err != nil {
			t.Fatal(err)
		}
	}
	execute("BEGIN IMMEDIATE")
	slowest := talkAll(t, everyone, 4)
	execute("ROLLBACK")
	if slowest > bounded {
		t.Errorf("a call took %v", slowest)
	}
	talkAll(t, everyone, 1)
	m.terminate(t)
	m.wait(t)
	wantConversations(t, b.look(t), everyone)
	t.Logf("the slowest call took %v", slowest.Round(time.Millisecond))
}
