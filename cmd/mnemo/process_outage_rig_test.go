//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/storetest/redisserver"
)

// Phases of a store, as a load sees it.
const (
	storeUp int32 = iota
	storeDown
)

// A load is many clients that call at a steady pace.
type load struct {
	conversations []*conversation
	phase         atomic.Int32
	answered      atomic.Int64
	bypassed      atomic.Int64 // from begin to end while the store was down
	slowest       atomic.Int64
	stop          chan struct{}
	talking       sync.WaitGroup
}

func startLoad(t *testing.T, m *mnemo) *load {
	l := &load{conversations: conversations(m, "load", loadClients), stop: make(chan struct{})}
	for i, c := range l.conversations {
		l.talking.Go(func() {
			select { // not all at the same moment
			case <-time.After(loadPace * time.Duration(i) / loadClients):
			case <-l.stop:
			}
			pace := time.NewTicker(loadPace)
			defer pace.Stop()
			for {
				if i%5 == 0 && len(c.said) == 0 && l.phase.Load() == storeUp && l.bypassed.Load() == 0 {
					// It begins when the store is down: nothing is known of its session.
				} else if !l.call(t, c) {
					return
				}
				select {
				case <-pace.C:
				case <-l.stop:
					return
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// answers waits until so many more calls are answered.
func (l *load) answers(t *testing.T, n int64) {
	t.Helper()
	end, look := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer look.Stop()
	for want := l.answered.Load() + n; l.answered.Load() < want; {
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("only %d calls are answered, want %d", l.answered.Load(), want)
		}
	}
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.talking.Wait()
}

// wantLogs waits until every session can be loaded again, and looks at the logs.
func (l *load) wantLogs(t *testing.T, store memory.Store) {
	t.Helper()
	for _, c := range l.conversations {
		if a, err := c.say(t.Context()); err != nil || a.header.Get("X-Memory-Status") != "ok" {
			t.Errorf("%s is answered with memory %q at last, %v", c.session, a.header.Get("X-Memory-Status"), err)
		}
	}
	wantConversations(t, store, l.conversations)
}

// Private

// call reports whether the client is content.
func (l *load) call(t *testing.T, c *conversation) bool {
	phase, begin := l.phase.Load(), time.Now()
	a, err := c.say(t.Context())
	took := int64(time.Since(begin))
	if err != nil {
		t.Error(err)
		return false
	}
	l.answered.Add(1)
	for old := l.slowest.Load(); took > old && !l.slowest.CompareAndSwap(old, took); {
		old = l.slowest.Load()
	}
	if phase == storeDown && l.phase.Load() == storeDown {
		l.bypassed.Add(1)
		if status := a.header.Get("X-Memory-Status"); status != "bypassed" {
			t.Errorf("while the store is down memory is %q", status)
		}
	}
	return true
}

// againEvery is how often a client asks for its last answer once more: one that
// resends everything as for another answer, one that does not as SDKs do after a
// failure.
const againEvery = 4

// A conversation is what one client says and hears, one call after the other.
type conversation struct {
	m       *mnemo
	session string
	stream  bool
	resends bool     // everything that was said, with each call
	said    []string // questions and answers, in turn
	calls   int      // that were answered
	status  string   // of memory, in the last answer
}

// conversations are those of clients of every kind.
func conversations(m *mnemo, name string, n int) []*conversation {
	all := make([]*conversation, n)
	for i := range all {
		all[i] = &conversation{m: m, session: fmt.Sprintf("%s-%d", name, i), stream: i%2 == 1, resends: i%4 < 2}
	}
	return all
}

// talkAll lets each of them say so much, and returns how long the slowest answer took.
func talkAll(t *testing.T, all []*conversation, turns int) (slowest time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var talking sync.WaitGroup
	for _, c := range all {
		talking.Go(func() {
			for range turns {
				begin := time.Now()
				_, err := c.say(t.Context())
				took := time.Since(begin)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				slowest = max(slowest, took)
				mu.Unlock()
			}
		})
	}
	talking.Wait()
	return slowest
}

// say makes the next call and reads the whole answer, which must be the right one.
func (c *conversation) say(ctx context.Context) (answer, error) {
	header, before := http.Header{}, c.said
	if c.calls%againEvery == againEvery-1 {
		before = c.said[:len(c.said)-2]
		if !c.resends {
			header["X-Stainless-Retry-Count"] = []string{"1"}
		}
	}
	text := fmt.Sprintf("Turn %d of %s.", len(before)/2+1, c.session)
	sent := []string{message("user", text)}
	if c.resends {
		sent = slices.Concat(before, sent)
	}
	a, err := c.m.chat(ctx, c.session, fmt.Sprintf(`{"model":"gpt-4o","stream":%t,"messages":[%s]}`, c.stream, strings.Join(sent, ",")), header)
	if err == nil && (a.status != http.StatusOK || a.text != heard(text)) {
		err = errors.New("it is not the right answer")
	}
	if err != nil {
		return a, fmt.Errorf("%q is answered with %d %s: %w", text, a.status, a.body, err)
	}
	c.said = slices.Concat(before, []string{message("user", text), message("assistant", a.text)})
	c.calls++
	c.status = a.header.Get("X-Memory-Status")
	return a, nil
}

// wantConversations wants each turn of each conversation once, live and in order,
// and what was asked for again once more for each time, but not live.
func wantConversations(t *testing.T, store memory.Store, all []*conversation) {
	t.Helper()
	for _, c := range all {
		turns, live := c.stored(t, store)
		if !slices.Equal(live, c.said) {
			t.Errorf("in %s is said\n%s\nwant\n%s", c.session, strings.Join(live, "\n"), strings.Join(c.said, "\n"))
		}
		if turns != c.calls {
			t.Errorf("%s has %d turns, want %d", c.session, turns, c.calls)
		}
	}
}

// stored is how many turns the store has of the conversation, and the messages of
// those that are live.
func (c *conversation) stored(t *testing.T, store memory.Store) (turns int, live []string) {
	t.Helper()
	for before := int64(0); before != 1; {
		page, err := store.Turns(t.Context(), sessionKey(c.session), before, 100)
		if err != nil || len(page) == 0 {
			t.Fatalf("turns of %s before %d: %d, %v", c.session, before, len(page), err)
		}
		var said []string
		for i := range page {
			if page[i].Partial || page[i].Unresolved || len(page[i].Messages) != 2 {
				t.Errorf("%s holds %+v", c.session, page[i])
			}
			for _, m := range page[i].Messages {
				if page[i].SupersededBy == 0 {
					said = append(said, message(m.Role, gjson.Get(m.Raw, "content").String()))
				}
			}
		}
		before, turns, live = page[0].Seq, turns+len(page), slices.Concat(said, live)
	}
	return turns, live
}

// spooled is the names of the files in the spool.
func spooled(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names
}

var processID = regexp.MustCompile(`process_id:(\d+)`)

func redisPID(t *testing.T, server *redisserver.Server) int {
	t.Helper()
	said, err := server.Do("INFO", "server")
	if err != nil {
		t.Fatal(err)
	}
	found := processID.FindStringSubmatch(said)
	if found == nil {
		t.Fatal(said)
	}
	pid, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func signalTo(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}
