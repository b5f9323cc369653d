package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/ledger"
)

func traceOf(call string) string {
	n, _ := strconv.Atoi(call)
	return fmt.Sprintf("%032x", n+1)
}

func tenantOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// An audit compares who counts.
type audit struct {
	*testing.T
	spans map[string]span   // of calls, by their traces
	parts map[string][]span // of attempts, by the call's span
	rows  map[string]*ledger.Entry

	calls, estimated int
	worst            float64 // by which an estimate was off
	usage            ledger.Usage
	cost             int64
	wrong            int
}

func newAudit(t *testing.T, spans []span, rows map[string]*ledger.Entry) *audit {
	a := &audit{T: t, spans: map[string]span{}, parts: map[string][]span{}, rows: rows}
	if len(rows) != mixedCalls {
		t.Errorf("the ledger has %d rows of %d calls", len(rows), mixedCalls)
	}
	for _, s := range spans {
		switch {
		case strings.HasPrefix(s.GetName(), "chat "):
			a.spans[s.trace()] = s
		case strings.HasPrefix(s.GetName(), "attempt "):
			a.parts[s.parent()] = append(a.parts[s.parent()], s)
		}
	}
	return a
}

// client audits the calls of one client.
func (a *audit) client(key string, ids []string, plans map[string]*plan, books *provider, told gjson.Result) {
	var sums ledger.Sums
	for _, id := range ids {
		p, s := plans[id], a.spans[traceOf(id)]
		e := a.rows[s.text("mnemo.request.id")]
		if e == nil || e.Tenant != tenantOf(key) {
			a.Errorf("call %s, %s, has no row: %v", id, p.kind, s)
			continue
		}
		if why := append(a.call(books.of(id), e), a.trace(p, s, e)...); len(why) > 0 {
			if a.wrong++; a.wrong < 8 {
				a.Errorf("call %s, %s, stream %t, session %q, %s: %s\nentry %+v\nvisits %s", id, p.kind, p.stream, p.session, p.body[:40],
					strings.Join(why, "; "), *e, visitsText(books.of(id)))
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

// call compares an entry with the books.
func (a *audit) call(visits []*visit, e *ledger.Entry) (why []string) {
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
	return why
}

// trace compares an entry with the spans of its call.
func (a *audit) trace(p *plan, s span, e *ledger.Entry) (why []string) {
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
