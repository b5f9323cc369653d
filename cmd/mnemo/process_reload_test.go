//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/sqlitestore"
)

const (
	reloads = 32 // changes of the file under load
	talkers = 50 // clients that call all the while
	// talkPace is how often each of them calls.
	talkPace = 150 * time.Millisecond
	guestKey = "sk-guest-5ecret"
)

// A marathon is a process under load whose file is changed again and again.
type marathon struct {
	*reloadable
	store  string
	models [3]*fakeModel
	doors  [3]*doorkeeper
}

func newMarathon(t *testing.T) *marathon {
	r := &marathon{store: t.TempDir() + "/sessions.db"}
	for i := range r.doors {
		r.models[i] = &fakeModel{ready: make(chan struct{})}
		r.doors[i] = newDoorkeeper(t, r.models[i])
	}
	r.reloadable = serveFile(t, r.file(0))
	return r
}

// file is the i-th configuration. Each has other upstreams, keys and limits, and
// some have more of everything.
func (r *marathon) file(i int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("auth:\n  mode: keys\n  keys:\n  - {name: app, tenant: %q, hash: %q}", sessionKey("").Tenant, hashOf(clientKey))
	if i%2 == 1 {
		line("  - {name: guest, hash: %q}", hashOf(guestKey))
	}
	line("store: {url: \"sqlite:%s\", load_timeout: %ds}", r.store, 10+i%2)
	line("memory: {budget: %d, low_water: 0.%d}", 4000+500*(i%5), 5+i%3)
	line("personas: {guide: {prompt: \"You are guide number %d.\"}}", i)
	line("limits: {in_flight: %d, body: %dMiB}", []int{0, 500, 1000}[i%3], 8+i%2)
	line("hedge_after: %ds\nretry: {attempts: %d}\nbreaker: {window: %ds}", 5*(i%3), 2+i%2, 20+i%4)
	if i%3 == 1 {
		line("budgets: [{name: month-%d, limit: 1000 USD, per: month}]", i)
	}
	if i%4 > 1 {
		line("pricing: {file: prices-%d.csv}", i%4)
	}
	line("upstreams:")
	to := []string{"c", "b", "a"}[i%3:] // c b a, then b a, then a
	if i%6 > 3 {
		to = []string{"b", "c"}
	}
	for _, name := range to {
		line("- name: %s\n  url: %s\n  key_policy: %s", name, r.doors[name[0]-'a'].url, []string{"weighted", "least_in_flight"}[i%2])
		line("  keys: [{label: k1, value: sk-up-%d, weight: %d}, {label: k2, value: sk-up-stays}]", i, 1+i%3)
		line("  timeouts: {stream_idle: %dm}\n  max_in_flight: %d", 2+i%2, 300*(i%2))
	}
	line("routes:\n- model: \"gpt-*\"\n  cache: {ttl: %ds}\n  to: [{upstream: %s}]", i%2, strings.Join(to, "}, {upstream: "))
	return b.String()
}

func TestReload_harms_no_call_under_load(t *testing.T) {
	r := newMarathon(t)
	for i := 2; i < 4; i++ {
		saveFile(t, fmt.Sprintf("%s/prices-%d.csv", strings.TrimSuffix(r.path, "/mnemo.yaml"), i), fmt.Sprintf("model,input,output\ngpt-4o,%d,%d\n", i, i))
	}
	r.says(t, turn{session: "first", text: "My name is Ada."}, heard("My name is Ada."))
	r.quiet(t)
	before := r.metric(t, "go_goroutines")

	begun := make([]*opened, 6)
	for i := range begun {
		begun[i] = open(t, r.mnemo, turn{session: fmt.Sprintf("long-%d", i), text: waiting, stream: true})
	}
	load := r.startTalkers(t)
	for i := 1; i <= reloads; i++ {
		r.reload(t, r.file(i))
		a, err := r.ask(t.Context(), turn{key: guestKey, text: "Let me in."})
		if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[i%2 == 1]; err != nil || a.status != want {
			t.Errorf("after change %d the guest gets %d, %v, want %d", i, a.status, err, want)
		}
		a = r.says(t, turn{text: "Who answers?"}, heard("Who answers?"))
		if name := a.header.Get("X-Upstream"); !strings.Contains(r.file(i), "name: "+name+"\n") {
			t.Errorf("after change %d upstream %s answers", i, name)
		}
	}
	conversations := load.end()
	for i := range r.models {
		close(r.models[i].ready)
	}
	for _, o := range begun {
		if rest, err := io.ReadAll(o.rest); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Errorf("a stream from before ends with %s, %v", rest, err)
		}
	}
	r.says(t, turn{session: "first", text: "What is my name?"}, "Your name is Ada.")
	calls := 0
	for _, c := range conversations {
		calls += c.calls
	}
	if calls < 10*reloads {
		t.Errorf("only %d calls were made meanwhile", calls)
	}
	wantConversations(t, r.look(t), conversations)
	for i := range begun {
		if stored := wholeLog(t, r.look(t), fmt.Sprintf("long-%d", i)); stored[waiting] != 1 {
			t.Errorf("of a stream from before is stored %v", stored)
		}
	}
	for _, d := range r.doors[1:] { // the last configuration has the first upstream alone
		settles(t, "no connection to an upstream is left that was removed", func() bool { return d.connections() == 0 })
	}
	r.quiet(t)
	settles(t, "as few goroutines run as before", func() bool { return r.metric(t, "go_goroutines") <= before+3 })
	if stale, applied := r.metric(t, "mnemo_config_stale"), len(r.log.all(`"configuration reloaded"`)); stale != 0 || applied != reloads {
		t.Errorf("stale is %v, and %d changes were taken over", stale, applied)
	}
	t.Logf("%d calls of %d clients over %d changes of the file", calls, talkers, reloads)
}

// quiet closes what connections clients and upstreams keep for later.
func (r *marathon) quiet(t *testing.T) {
	t.Helper()
	r.http.CloseIdleConnections()
	for _, d := range r.doors {
		d.hangUp()
		settles(t, "nobody is connected", func() bool { return d.connections() == 0 })
	}
}

func (r *marathon) look(t *testing.T) memory.Store {
	return backend{open: func() (memory.Store, error) {
		return sqlitestore.Open(context.Background(), sqlitestore.Options{Path: r.store})
	}}.look(t)
}

// A talk is what many clients do until it ends.
type talk struct {
	all     []*conversation
	stopped atomic.Bool
	going   sync.WaitGroup
}

// startTalkers has each client call at its pace, and want memory with every answer.
func (r *marathon) startTalkers(t *testing.T) *talk {
	l := &talk{all: conversations(r.mnemo, "talker", talkers)}
	for _, c := range l.all {
		l.going.Go(func() {
			pace := time.NewTicker(talkPace)
			defer pace.Stop()
			for ; !l.stopped.Load(); <-pace.C {
				if _, err := c.say(t.Context()); err != nil || c.status != "ok" {
					t.Errorf("memory is %q: %v", c.status, err)
					return
				}
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *talk) end() []*conversation {
	l.stopped.Store(true)
	l.going.Wait()
	return l.all
}
