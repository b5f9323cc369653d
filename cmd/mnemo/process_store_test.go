package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/redisstore"
	"mnemo/memory/sqlitestore"
	"mnemo/memory/storetest/redisserver"
)

func TestMnemo_remembers_after_a_kill(t *testing.T) {
	eachBackend(t, func(t *testing.T, b backend) {
		up := newFakeModel(t)
		first := serve(t, b.setup(up))
		first.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
		first.kill()
		second := serve(t, b.setup(up))
		second.says(t, turn{session: "s", text: "What is my name?"}, "Your name is Ada.")
	})
}

func TestMnemo_knows_at_once_what_another_process_was_told(t *testing.T) {
	eachBackend(t, func(t *testing.T, b backend) {
		up := newFakeModel(t)
		processes := []*mnemo{serve(t, b.setup(up)), serve(t, b.setup(up))}
		for i, name := range []string{"Ada", "Bob", "Cleo", "Dan", "Eve", "Finn"} {
			told, asked := processes[i%2], processes[(i+1)%2]
			text := "My name is " + name + "."
			told.says(t, turn{session: "s", text: text, stream: i%3 == 0}, heard(text))
			asked.says(t, turn{session: "s", text: "What is my name?", stream: i%3 == 1}, "Your name is "+name+".")
		}
	})
}

func TestMnemo_keeps_every_one_of_many_turns_at_once(t *testing.T) {
	const turns = 64
	eachBackend(t, func(t *testing.T, b backend) {
		up := newFakeModel(t)
		processes := []*mnemo{serve(t, b.setup(up)), serve(t, b.setup(up))}
		var asking sync.WaitGroup
		for i := range turns {
			asking.Go(func() {
				text := fmt.Sprintf("Turn %d.", i)
				processes[i%2].says(t, turn{session: "s", text: text, stream: i%4 < 2}, heard(text))
			})
		}
		asking.Wait()
		a := processes[0].says(t, turn{session: "s", text: "Go on."}, heard("Go on."))
		if got := a.header.Get("X-Memory-Turns"); got != fmt.Sprint(turns) {
			t.Errorf("%s turns were sent, want %d", got, turns)
		}
		sent := gjson.Get(up.last().body, "messages.#.content").Array()
		for i := 0; i+1 < len(sent); i += 2 {
			if sent[i+1].String() != heard(sent[i].String()) {
				t.Errorf("%q is followed by %q", sent[i], sent[i+1])
			}
		}
		if stored := wholeLog(t, b.look(t), "s"); len(stored) != turns+1 {
			t.Errorf("%d turns are stored, want %d", len(stored), turns+1)
		}
	})
}

// Clients talk as fast as they can when the process is killed.
func TestMnemo_keeps_every_turn_whose_end_was_seen_when_it_is_killed(t *testing.T) {
	const clients, sessions, enough = 16, 50, 1000
	sessionOf := func(client, i int) string { return fmt.Sprintf("load-%d", (client*3+i)%sessions) }
	eachBackend(t, func(t *testing.T, b backend) {
		m := serve(t, b.setup(newFakeModel(t)))
		var talking sync.WaitGroup
		var ends atomic.Int64
		var killed atomic.Bool
		reached, seen := make(chan struct{}), make([][]turn, clients)
		for c := range clients {
			talking.Go(func() {
				for i := 0; ; i++ {
					q := turn{session: sessionOf(c, i), text: fmt.Sprintf("Turn %d of client %d.", i, c), stream: i%2 == 0}
					a, err := m.ask(t.Context(), q)
					if err == nil && a.status == http.StatusOK && a.text == heard(q.text) && a.header.Get("X-Memory-Status") == "ok" {
						seen[c] = append(seen[c], q)
						if ends.Add(1) == enough {
							close(reached)
						}
						continue
					}
					if !killed.Load() {
						t.Errorf("%q is answered with %d %s, %v", q.text, a.status, a.body, err)
					}
					return
				}
			})
		}
		select {
		case <-reached:
		case <-time.After(patience):
			t.Errorf("only %d turns were done in time", ends.Load())
		}
		killed.Store(true)
		m.kill()
		talking.Wait()
		wantSeen(t, b.look(t), seen)
	})
}

// A backend is a real store that outlives its users.
type backend struct {
	url  string // as --store takes it
	open func() (memory.Store, error)
}

func eachBackend(t *testing.T, test func(t *testing.T, b backend)) {
	t.Run("SQLite", func(t *testing.T) { test(t, sqliteBackend(t)) })
	t.Run("Redis", func(t *testing.T) { test(t, redisBackend(redisserver.Start(t))) })
}

func sqliteBackend(t *testing.T) backend {
	path := filepath.Join(t.TempDir(), "sessions.db")
	return backend{url: "sqlite:" + path, open: func() (memory.Store, error) {
		return sqlitestore.Open(context.Background(), sqlitestore.Options{Path: path})
	}}
}

func redisBackend(server *redisserver.Server) backend {
	url := "redis://" + server.Addr
	return backend{url: url, open: func() (memory.Store, error) {
		return redisstore.Open(context.Background(), redisstore.Options{URL: url})
	}}
}

// setup is how a process before the upstream uses the backend.
func (b backend) setup(up *fakeModel) setup {
	return setup{file: patientStore, args: []string{"--upstream", up.url, "--store", b.url}}
}

// look opens the backend beside the processes that use it.
func (b backend) look(t *testing.T) memory.Store {
	t.Helper()
	store, err := b.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// wantSeen checks that every turn that a client saw the end of is stored once, in
// the client's order, and that every stored turn is whole.
func wantSeen(t *testing.T, store memory.Store, seen [][]turn) {
	t.Helper()
	stored := map[string]map[string]int64{}
	for _, turns := range seen {
		last := map[string]int64{}
		for _, q := range turns {
			if stored[q.session] == nil {
				stored[q.session] = wholeLog(t, store, q.session)
			}
			seq := stored[q.session][q.text]
			if seq <= last[q.session] {
				t.Errorf("%q of %s, whose end was seen, is turn %d, after turn %d", q.text, q.session, seq, last[q.session])
			}
			last[q.session] = seq
		}
	}
}

// wholeLog is the sequence number of each question of a session. It checks that
// each has its answer.
func wholeLog(t *testing.T, store memory.Store, session string) map[string]int64 {
	t.Helper()
	places := map[string]int64{}
	var before int64
	for before != 1 {
		page, err := store.Turns(t.Context(), sessionKey(session), before, 100)
		if err != nil || len(page) == 0 {
			t.Fatalf("turns of %s before %d: %d, %v", session, before, len(page), err)
		}
		for i := range page {
			question := wholeQuestion(t, &page[i])
			if places[question] != 0 {
				t.Errorf("%q is stored twice", question)
			}
			places[question] = page[i].Seq
		}
		before = page[0].Seq
	}
	return places
}

// wholeQuestion is what a stored turn asks.
func wholeQuestion(t *testing.T, stored *memory.Turn) string {
	t.Helper()
	said := stored.Messages
	if len(said) != 2 || said[0].Role != memory.RoleUser || said[1].Role != memory.RoleAssistant || stored.Partial {
		t.Fatalf("turn %d is %+v", stored.Seq, stored)
	}
	question, reply := gjson.Get(said[0].Raw, "content").String(), gjson.Get(said[1].Raw, "content").String()
	if reply != heard(question) {
		t.Errorf("turn %d is %s %s", stored.Seq, said[0].Raw, said[1].Raw)
	}
	return question
}

// sessionKey is a session of clientKey's.
func sessionKey(session string) memory.Key {
	sum := sha256.Sum256([]byte(clientKey))
	return memory.Key{Tenant: hex.EncodeToString(sum[:16]), Session: session}
}
