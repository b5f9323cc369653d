package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"
)

// An actor is an upstream that answers as a fakeModel does, until it is told to do
// something else.
type actor struct {
	fakeModel
	name  string
	begun atomic.Int64 // calls, those that are not answered included
	act   atomic.Pointer[act]

	mu   sync.Mutex
	keys map[string]int // calls with each key
}

// An act does something to the n-th call, from 1, and reports whether that was all.
type act func(w http.ResponseWriter, r *http.Request, n int64) bool

func newActor(t *testing.T, name string, does act) *actor {
	p := &actor{name: name, keys: map[string]int{}, fakeModel: fakeModel{ready: make(chan struct{})}}
	p.does(does)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL + "/v1"
	return p
}

// does has what follows done to its calls; nil: nothing.
func (p *actor) does(what act) {
	if what == nil {
		p.act.Store(nil)
		return
	}
	p.act.Store(&what)
}

// ServeHTTP answers one call.
func (p *actor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := p.begun.Add(1)
	p.mu.Lock()
	p.keys[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]++
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body) // only then is it noticed that the caller leaves
	if err != nil {
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if act := p.act.Load(); act == nil || !(*act)(w, r, n) {
		p.fakeModel.ServeHTTP(w, r)
	}
}

// with is how many calls came with a key.
func (p *actor) with(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[key]
}

// fails answers with an error in OpenAI's shape.
func fails(status int, code string, header ...string) act {
	return func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":"the provider says %s","type":%q,"param":null,"code":%[2]q}}`, code, code)
		return true
	}
}

// stays says nothing until the caller goes away.
func stays(_ http.ResponseWriter, r *http.Request, _ int64) bool {
	<-r.Context().Done()
	return true
}

// entry is the actor in a list of upstreams.
func (p *actor) entry(more string) string {
	return fmt.Sprintf("- {name: %s, url: %s%s}\n", p.name, p.url, more)
}

// upstreams is what the process shows of its upstreams, as JSON and as a table.
func (m *mnemo) upstreams(t *testing.T) (page gjson.Result, table string) {
	t.Helper()
	var out, failed strings.Builder
	if code := run(t.Context(), []string{"upstreams", "--server", m.url}, []string{"MNEMO_KEY=" + clientKey}, strings.NewReader(""), &out, &failed); code != exitOK {
		t.Errorf("mnemo upstreams exits with %d: %s", code, failed.String())
	}
	status, body := m.api(t, "/api/upstreams")
	if status != http.StatusOK {
		t.Errorf("/api/upstreams answers %d %s", status, body)
	}
	return gjson.Get(body, "upstreams"), out.String()
}

// wantRow wants a line of a table that has these words in their order.
func wantRow(t *testing.T, table string, words ...string) {
	t.Helper()
	want := strings.Join(words, " ")
	for line := range strings.Lines(table) {
		if strings.Contains(strings.Join(strings.Fields(line), " "), want) {
			return
		}
	}
	t.Errorf("no row has %q:\n%s", want, table)
}
