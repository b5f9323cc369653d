package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/ledger"
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
	audit, written := newAudit(t, traces.all()), rows(t, dir)
	for client, ids := range clients {
		key := fmt.Sprintf("sk-%d", client)
		audit.client(key, ids, plans, books, written[tenantOf(key)], spent[key])
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

func tenantOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// An audit compares who counts.
type audit struct {
	*testing.T
	spans map[string]span   // of calls, by request id
	parts map[string][]span // of attempts, by the call's span

	calls, estimated int
	worst            float64 // by which an estimate was off
	usage            ledger.Usage
	cost             int64
	wrong            int
}

func newAudit(t *testing.T, spans []span) *audit {
	a := &audit{T: t, spans: map[string]span{}, parts: map[string][]span{}}
	for _, s := range spans {
		switch {
		case strings.HasPrefix(s.GetName(), "chat "):
			a.spans[s.text("mnemo.request.id")] = s
		case strings.HasPrefix(s.GetName(), "attempt "):
			a.parts[s.parent()] = append(a.parts[s.parent()], s)
		}
	}
	return a
}

// client audits the calls of one client.
func (a *audit) client(key string, ids []string, plans map[string]*plan, books *provider, rows []entryRow, told gjson.Result) {
	if len(rows) != len(ids) {
		a.Errorf("%s: %d rows of %d calls", key, len(rows), len(ids))
		return
	}
	var sums ledger.Sums
	for i, id := range ids {
		e := &rows[i].Entry
		if why := a.call(plans[id], books.of(id), e); len(why) > 0 {
			if a.wrong++; a.wrong < 8 {
				a.Errorf("call %s, %s, stream %t, session %q, %s: %s\nentry %+v\nvisits %s", id, plans[id].kind, plans[id].stream, plans[id].session, plans[id].body[:40], strings.Join(why, "; "), *e, visitsText(books.of(id)))
			}
		}
		one := ledger.SumsOf(e)
		sums.Add(&one)
	}
	if told.Get("calls").Int() != sums.Calls || told.Get("tokens.input").Int() != sums.Input || told.Get("tokens.output").Int() != sums.Output ||
		told.Get("measured").Int() != sums.Measured || told.Get("estimated").Int() != sums.Estimated || told.Get("cost_nano_usd").Int() != sums.Cost {
		a.Errorf("%s: /api/usage tells %s, the ledger has %+v", key, told.Raw, sums)
	}
}

// call audits one call: its entry against the books, and against its trace.
func (a *audit) call(p *plan, visits []*visit, e *ledger.Entry) (why []string) {
	wrong := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	a.calls++
	a.usage.Add(e.Usage)
	a.cost += e.Cost
	if len(e.Attempts) != len(visits) {
		wrong("%d attempts of %d visits", len(e.Attempts), len(visits))
		return why
	}
	var owed spent
	var charged int64
	estimated := false
	for i, v := range visits {
		s, guessed := v.bill()
		cost := charges[v.upstream].of(s)
		owed.add(s)
		charged, estimated = charged+cost, estimated || guessed
		if got := e.Attempts[i]; v.upstream != got.Upstream || v.told != nil && (!got.Measured || got.Usage != s.usage() || got.Cost != cost || !got.Priced) {
			wrong("attempt %d: %+v, want %+v for %d", i, got, s, cost)
		} else if off := distance(got.Usage, s); off > 0.02 {
			wrong("attempt %d is off by %.1f %%: %+v, want %+v", i, 100*off, got.Usage, s)
		} else if guessed {
			a.worst = max(a.worst, off)
		}
	}
	if estimated {
		a.estimated++
	}
	used := owed != spent{}
	if !e.Priced && used || e.Measured != (used && !estimated) {
		wrong("measured %t, priced %t", e.Measured, e.Priced)
	}
	if !estimated && (e.Usage != owed.usage() || e.Cost != charged) {
		wrong("it used %+v for %d, want %+v for %d", e.Usage, e.Cost, owed, charged)
	}
	return append(why, a.trace(p, e)...)
}

// trace compares an entry with the spans of its call.
func (a *audit) trace(p *plan, e *ledger.Entry) (why []string) {
	s, ok := a.spans[e.ID]
	if !ok {
		return []string{"there is no span " + e.ID}
	}
	sum := usageIn(s)
	for _, part := range a.parts[s.id()] {
		sum.Add(usageIn(part))
	}
	cost := nanoOf(s)
	if len(a.parts[s.id()]) != len(e.Attempts) || sum.Input != e.Usage.Input || sum.Output != e.Usage.Output || sum.CachedInput != e.Usage.CachedInput ||
		sum.CacheWrite != e.Usage.CacheWrite || sum.Reasoning != e.Usage.Reasoning || cost != e.Cost {
		why = append(why, fmt.Sprintf("the trace says %+v for %d in %d attempts", sum, cost, len(a.parts[s.id()])))
	}
	if s.text("gen_ai.conversation.id") != p.session || s.number("http.response.status_code") != int64(e.Status) {
		why = append(why, "the span is of another call")
	}
	return why
}

// compare compares the sums over all calls with those of the metrics.
func (a *audit) compare(metrics string) {
	for name, want := range map[string]int64{
		"gen_ai_client_inference_usage_input_tokens_total":             a.usage.Input,
		"gen_ai_client_inference_usage_output_tokens_total":            a.usage.Output,
		"gen_ai_client_inference_usage_cache_read_input_tokens_total":  a.usage.CachedInput,
		"gen_ai_client_inference_usage_cache_write_input_tokens_total": a.usage.CacheWrite,
		"gen_ai_client_inference_usage_reasoning_output_tokens_total":  a.usage.Reasoning,
		"mnemo_ledger_lost_total":                                      0,
		"mnemo_telemetry_dropped_total":                                0,
		"mnemo_cost_unpriced_total":                                    0,
	} {
		if got := total(metrics, name, 1); got != want {
			a.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if got := total(metrics, "mnemo_cost_usd_total", 1e9); got != a.cost {
		a.Errorf("the metrics say that it cost %d nano-dollars, the ledger %d", got, a.cost)
	}
	input, output := total(metrics, "gen_ai_client_token_usage_sum", 1, `type="input"`), total(metrics, "gen_ai_client_token_usage_sum", 1, `type="output"`)
	if input != a.usage.Input || output != a.usage.Output {
		a.Errorf("the histogram has %d and %d tokens, the ledger %+v", input, output, a.usage)
	}
}

func (a *audit) String() string {
	return fmt.Sprintf("%d calls, %d of them estimated, in part at least, none by more than two tokens or %.2f %%; %+v for %d nano-dollars",
		a.calls, a.estimated, 100*a.worst, a.usage, a.cost)
}

func (s spent) usage() ledger.Usage {
	return ledger.Usage{Input: s.input, CachedInput: s.cached, CacheWrite: s.written, Output: s.output, Reasoning: s.reasoning}
}

// distance is by how much the worse of an estimate's figures is off. Two tokens are no
// matter.
func distance(got ledger.Usage, want spent) float64 {
	off := func(got, want int64) float64 {
		if d := math.Abs(float64(got - want)); d > 2 {
			return d / max(1, float64(want))
		}
		return 0
	}
	return max(off(got.Input, want.input), off(got.Output, want.output))
}

func usageIn(s span) ledger.Usage {
	return ledger.Usage{
		Input: s.number("gen_ai.usage.input_tokens"), Output: s.number("gen_ai.usage.output_tokens"),
		CachedInput: s.number("gen_ai.usage.cache_read.input_tokens"), CacheWrite: s.number("gen_ai.usage.cache_write.input_tokens"),
		Reasoning: s.number("gen_ai.usage.reasoning.output_tokens"),
	}
}

func nanoOf(s span) int64 {
	return int64(math.Round(s.attributes["mnemo.cost.usd"].GetDoubleValue() * 1e9))
}

func visitsText(visits []*visit) string {
	var lines []string
	for _, v := range visits {
		s, guessed := v.bill()
		lines = append(lines, fmt.Sprintf("%s %d told %v bill %+v %t", v.upstream, v.status, v.told, s, guessed))
	}
	return strings.Join(lines, "\n")
}
