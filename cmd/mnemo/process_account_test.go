package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

const (
	// mixedCalls are made by mixedClients, each one after the other.
	mixedCalls, mixedClients = 1000, 250
	// atOnce bounds the calls at a time.
	atOnce = 32
)

// Every kind of call, and everybody who counts. The upstreams keep their own books: what
// they reported; of what they did not report, and of what was cut or left, the prompt that
// they got and the text that they delivered. What they delivered is what counts of a call
// whose client left, not what it was meant to become: providers charge for no more.
func TestAccount_agrees_with_the_books_of_the_upstreams_whatever_comes_of_a_call(t *testing.T) {
	plans, clients := map[string]*plan{}, make([][]string, mixedClients)
	random := rand.New(rand.NewPCG(5, 1000))
	for n := range mixedCalls {
		id, client := fmt.Sprint(n), n*7%mixedClients
		plans[id] = newPlan(random, n, fmt.Sprintf("sk-%d", client))
		plans[id].header = http.Header{"Traceparent": {"00-" + traceOf(id) + "-" + clientSpan + "-01"}}
		clients[client] = append(clients[client], id)
	}
	books, traces, dir := newProvider(t, plans), collectHTTP(t), t.TempDir()
	m := serve(t, setup{dir: dir, file: accountFile(books), environ: traces.environ})
	callAll(t, m, plans, clients)
	metrics := m.reaches(t, "mnemo_ledger_rows_total", mixedCalls)
	spent := map[string]gjson.Result{}
	for client := range clients {
		key := fmt.Sprintf("sk-%d", client)
		spent[key] = m.usage(t, key)
	}
	m.terminate(t)
	m.wait(t)
	books.close()
	audit := newAudit(t, traces.all(), rows(t, dir))
	for client, ids := range clients {
		key := fmt.Sprintf("sk-%d", client)
		audit.client(key, ids, plans, books, spent[key])
	}
	audit.compare(metrics)
	t.Log(audit)
}

// callAll makes the calls, those of a client one after the other.
func callAll(t *testing.T, m *mnemo, plans map[string]*plan, clients [][]string) {
	places := make(chan struct{}, atOnce)
	var calling sync.WaitGroup
	var failed atomic.Int64
	begin := time.Now()
	for _, ids := range clients {
		places <- struct{}{}
		calling.Go(func() {
			defer func() { <-places }()
			for _, id := range ids {
				p := plans[id]
				heard, err := caller{m}.call(t.Context(), id, p)
				if err := p.check(heard, err); err != nil && failed.Add(1) < 10 {
					t.Errorf("call %s, %s: %v", id, p.kind, err)
				}
			}
		})
	}
	calling.Wait()
	t.Logf("%d calls in %v", len(plans), time.Since(begin).Round(time.Millisecond))
}

// check says what is wrong with what a client heard.
func (p *plan) check(heard string, err error) error {
	switch p.kind {
	case "left", "left early":
		return err
	case "cut", "lost":
		if err == nil {
			return fmt.Errorf("an answer that was cut has an end: %s", heard)
		}
		return nil
	case "cut whole":
		return nil // whether there was another try is in the books
	}
	if err == nil && p.stream && !strings.HasSuffix(heard, "data: [DONE]\n\n") {
		err = fmt.Errorf("no end")
	}
	text := ""
	for line := range strings.Lines(heard) {
		if !p.stream {
			line = "data: " + line
		}
		for _, choice := range gjson.Get(strings.TrimPrefix(line, "data: "), "choices").Array() {
			if choice.Get("index").Int() == 0 {
				text += choice.Get("delta.content").String() + choice.Get("message.content").String()
			}
		}
	}
	if err == nil && text != p.full[0].content {
		err = fmt.Errorf("%q, want %q", text, p.full[0].content)
	}
	return err
}
