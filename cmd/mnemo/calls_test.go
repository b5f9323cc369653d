package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"mnemo/ledger"
	"mnemo/proxy/manage"
)

// rescued is a call that went through everything.
func rescued() ledger.Entry {
	return spentAt(2*time.Hour, "gpt-4o", 1_234_500, func(e *ledger.Entry) {
		e.ID, e.ModelUsed, e.Upstream, e.Key, e.Stream, e.FirstToken = "req-7", "gpt-4o-mini", "azure", "b", true, 700*time.Millisecond
		e.Latency, e.Degraded = 2500*time.Millisecond, true
		e.Measured = false
		e.Usage = ledger.Usage{Input: 400, CachedInput: 100, CacheWrite: 50, Output: 30, Reasoning: 20, AudioInput: 2, AudioOutput: 1}
		e.Memory = ledger.Memory{Status: "ok", Turns: 4, Tokens: 150, Dropped: 2, Summary: "used"}
		e.Phases = ledger.Phases{Load: 20 * time.Millisecond, Compose: 300 * time.Microsecond, Upstream: 600 * time.Millisecond, Commit: 100 * time.Millisecond}
		e.FullKnown, e.FullInput, e.FullCost, e.FullCostCached = true, 1200, 9_999_000, 1_000_000
		e.Attempts = []ledger.Attempt{
			{Upstream: "openai", Key: "a", Model: "gpt-4o", Outcome: "server_error", Status: 503, Start: 22 * time.Millisecond, Duration: 500 * time.Millisecond, Breaker: "closed"},
			{Upstream: "openai", Key: "b", Model: "gpt-4o", Outcome: "outrun", Start: 530 * time.Millisecond, Duration: 200 * time.Millisecond, Breaker: "half-open",
				Usage: ledger.Usage{Input: 200}, Cost: 500_000, Priced: true},
			{Upstream: "azure", Key: "b", Model: "gpt-4o-mini", Outcome: "ok", Status: 200, Start: 600 * time.Millisecond, Duration: 100 * time.Millisecond, Breaker: "closed",
				Hedge: true, Usage: ledger.Usage{Input: 200, CachedInput: 100, CacheWrite: 50, Output: 30}, Measured: true, Cost: 734_500, Priced: true},
		}
	})
}

func TestCall_is_readable(t *testing.T) {
	a := newAccounts(t, []ledger.Entry{rescued()})
	_, text, _ := a.run(t, adaKey, "calls", "show", "req-7", "--json")
	var list manage.CallList
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Calls) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	var out strings.Builder
	if err := writeCall(&out, &list.Calls[0], noon); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"id       req-7\n" +
		"when     2026-03-01T10:00:00Z (2 h ago)\n" +
		"who      tenant ada, session trip\n" +
		"model    gpt-4o → gpt-4o-mini at azure with key b\n" +
		"answer   200, streamed, degraded to a cheaper model, after 2.50 s, first token after 700 ms\n" +
		"memory   ok, 4 stored groups sent, 2 left out, 150 tokens added, with the summary\n" +
		"tokens   400 in (100 cached, 50 written to the cache, 2 audio), 30 out (20 reasoning, 1 audio), in part estimated\n" +
		"cost     $0.0012345\n" +
		"history  the whole of it has 1200 tokens in (67 % saved) and would cost $0.009999 (88 % saved), or $0.001 with the provider's cache (23 % more)\n" +
		"\n" +
		"             TOOK                            2.50 s\n" +
		"read       1.7 ms  ▏\n" +
		"load        20 ms  ▎\n" +
		"compose    0.3 ms  ▏\n" +
		"attempt 1  500 ms  ██████▍                           openai, key a, gpt-4o: 503 server_error, breaker closed\n" +
		"attempt 2  200 ms        ██▌                         openai, key b, gpt-4o: outrun, breaker half-open, 200 in, 0 out, estimated, $0.0005\n" +
		"attempt 3  100 ms         █▎                         azure, key b, gpt-4o-mini: 200 ok, breaker closed, hedge, 200 in, 30 out, $0.0007345\n" +
		"relay      1.70 s          █████████████████████▊\n" +
		"commit     100 ms                                █▎\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if !strings.Contains(content(t, filepath.Join(repository, "docs", "api.md")), "```text\n"+want+"```") {
		t.Error("docs/api.md shows something else")
	}
}

func TestCall_that_got_nowhere_is_readable_too(t *testing.T) {
	a := newAccounts(t, []ledger.Entry{
		spentAt(time.Hour, "", 0, func(e *ledger.Entry) {
			e.ID, e.Tenant, e.Session, e.Upstream, e.Key, e.Usage, e.Priced, e.Status, e.Error, e.Latency = "x", "ada", "", "", "", ledger.Usage{}, false, 499, "client_gone", 0
		}),
		spentAt(2*time.Hour, "gpt-4o", 0, func(e *ledger.Entry) {
			e.ID, e.Cached, e.Usage, e.Memory, e.Phases, e.Latency = "x", true, ledger.Usage{}, ledger.Memory{Status: "bypassed"}, ledger.Phases{Load: time.Millisecond}, 4*time.Millisecond
		}),
		spentAt(3*time.Hour, "gpt-4o", 5, func(e *ledger.Entry) {
			e.ID, e.Operation, e.Measured = "x", ledger.OperationSummarize, false
			e.Attempts = []ledger.Attempt{
				{Outcome: "ok", Status: 200, Duration: time.Millisecond, Usage: ledger.Usage{Output: 1}, Measured: true, Priced: true},
				{Outcome: "timeout", Resume: true, Usage: ledger.Usage{Input: 1}},
			}
		}),
	})
	code, out, errs := a.run(t, adaKey, "calls", "show", "x")
	for _, want := range []string{
		"who     tenant ada, session none\n", "model   none\n", "answer  499, client_gone, the client left, after 0 ms\n", "tokens  none\n", "cost    not known\n",
		"answer  200, from the cache of answers, after 4.0 ms\n", "memory  bypassed\n", "\nload  1.0 ms  ████████\n", "cost    $0\n", "1000 in, 100 out, in part estimated\n", "none: 200 ok, 0 in, 1 out, $0\n", "none: timeout, resumed the answer, 1 in, 0 out, estimated, unpriced\n", "answer  200, summarize, ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if code != exitOK || errs != "" || t.Failed() {
		t.Errorf("exits with %d, %s\n%s", code, errs, out)
	}
}

func TestCalls_show_ones_own_and_steer_no_terminal(t *testing.T) {
	evil := func(e *ledger.Entry) {
		e.ID, e.Tenant, e.ModelAsked, e.Key, e.Error, e.Session = "a/b c", "bob", "m\x1b[2J", "k\u202e", "bad\r\n", "\u009bs"
		e.Attempts = []ledger.Attempt{{Upstream: "up\x1b", Key: "\x07", Outcome: "\x1b[1m", Breaker: "\x00"}}
	}
	a := newAccounts(t, []ledger.Entry{spentAt(time.Hour, "gpt-4o", 1, evil)})
	if code, out, errs := a.run(t, adaKey, "calls", "show", "a/b c"); code != exitFailed || out != "" || !strings.HasPrefix(errs, "mnemo: show call a/b c: there is no call with this X-Request-ID") {
		t.Errorf("exits with %d, %s%s", code, out, errs)
	}
	for _, flags := range [][]string{{"--tenant", "bob"}, {"--all"}} {
		code, out, errs := a.run(t, adminKey, append([]string{"calls", "show", "a/b c"}, flags...)...)
		if code != exitOK || !strings.Contains(out, "tenant bob") || strings.ContainsAny(out, "\x1b\u202e\u009b\r\x07\x00") {
			t.Errorf("exits with %d, %q%s", code, out, errs)
		}
	}
}

func TestWaterfall_fits_whatever_the_account_says(t *testing.T) {
	for _, c := range []manage.Call{
		{Attempts: []manage.CallAttempt{{Outcome: "ok"}}},
		{Latency: 10, Attempts: []manage.CallAttempt{{Start: -5, Duration: 1, Outcome: "ok"}, {Start: 50, Duration: 1}}, Phases: manage.CallPhases{Commit: 20}},
		{Latency: 1e12, Attempts: []manage.CallAttempt{{Start: 1e12, Duration: 1e-6}}},
		{Phases: manage.CallPhases{Load: 1, Compose: 2, Commit: 3}},
	} {
		drawn := waterfallOf(&c)
		for _, row := range drawn.rows {
			if n := uniseg.StringWidth(row[2]); n > waterColumns {
				t.Errorf("%+v: %s takes %d columns", c, row[0], n)
			}
		}
	}
	if w := waterfallOf(&manage.Call{Latency: 10, Attempts: []manage.CallAttempt{{Start: 1, Duration: 2, Outcome: "timeout"}}}); len(w.rows) != 2 {
		t.Errorf("an answer that never came is relayed: %q", w.rows)
	}
}

func TestAccounts_that_cannot_be_had_are_an_error(t *testing.T) {
	a := newAccounts(t, nil)
	for _, command := range []string{"usage", "usage --csv", "calls show x", "budgets"} {
		for key, want := range map[string]string{"": "(MNEMO_KEY or --key says whose", "sk-wrong": "this key is not known"} {
			code, out, errs := a.run(t, key, strings.Fields(command)...)
			if code != exitFailed || out != "" || !strings.Contains(errs, want) || strings.Contains(errs, "sk-wrong") {
				t.Errorf("%s with %q exits with %d, %s%s", command, key, code, out, errs)
			}
		}
		code, out, errs := a.run(t, adaKey, append(strings.Fields(command), "--server", "http://"+closedAddress(t))...)
		if code != exitFailed || out != "" || !strings.Contains(errs, "nobody listens") {
			t.Errorf("%s exits with %d, %s%s", command, code, out, errs)
		}
		code, out, errs = a.run(t, adaKey, append(strings.Fields(command), "--tenant", "bob")...)
		if code != exitFailed || out != "" || !strings.Contains(errs, "only an admin key") {
			t.Errorf("%s exits with %d, %s%s", command, code, out, errs)
		}
	}
}
