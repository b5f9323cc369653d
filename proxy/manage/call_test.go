package manage

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"mnemo/ledger"
)

func TestCall_tells_everything_of_its_entry(t *testing.T) {
	e := ledger.Entry{
		ID: "req-7", Time: today, Operation: ledger.OperationChat, Tenant: "ada", Session: "trip", ModelAsked: "gpt-4o", ModelUsed: "gpt-4o-mini",
		Upstream: "azure", Key: "b", Usage: ledger.Usage{Input: 200, CachedInput: 100, CacheWrite: 50, Output: 30, Reasoning: 20, AudioInput: 2, AudioOutput: 1},
		Measured: true, Cost: 123, Priced: true, Latency: 2500 * time.Millisecond, FirstToken: 700 * time.Millisecond, Status: 200, Error: "cut",
		Stream: true, Cached: true, Degraded: true,
		Attempts: []ledger.Attempt{
			{Upstream: "openai", Key: "a", Model: "gpt-4o", Outcome: "server_error", Status: 503, Start: 3 * time.Millisecond, Duration: 500 * time.Microsecond, Breaker: "closed"},
			{Upstream: "azure", Key: "b", Model: "gpt-4o-mini", Outcome: "ok", Status: 200, Start: time.Second, Duration: 1500 * time.Millisecond, Breaker: "half-open",
				Hedge: true, Resume: true, Usage: ledger.Usage{Input: 200, Output: 30}, Measured: true, Cost: 123, Priced: true},
		},
		Memory:    ledger.Memory{Status: "ok", Turns: 4, Tokens: 150, Dropped: 2, Summary: "used"},
		Phases:    ledger.Phases{Load: time.Millisecond, Compose: 2 * time.Millisecond, Upstream: 300 * time.Millisecond, Commit: 4 * time.Millisecond},
		FullKnown: true, FullInput: 1200, FullCost: 999, FullCostCached: 500,
	}
	r := newAccountRig(t, e)
	var list CallList
	a := r.want(http.StatusOK, http.MethodGet, "/api/calls/req-7", "", &list)
	if len(list.Calls) != 1 {
		t.Fatalf("%s", a.body)
	}
	c := list.Calls[0]
	if *c.FirstToken != 700 || *c.NanoUSD != 123 || *c.USD != "0.000000123" || *c.WholeHistory.Uncached.SavedNanoUSD != 876 || *c.WholeHistory.Cached.NanoUSD != 500 {
		t.Errorf("%s", a.body)
	}
	if c.Attempts[0].NanoUSD != nil || *c.Attempts[1].USD != "0.000000123" || c.Attempts[1].Tokens.Output != 30 {
		t.Errorf("%s", a.body)
	}
	c.Attempts[1].Money, c.Attempts[1].Tokens = Money{}, CallTokens{}
	want := []CallAttempt{
		{Upstream: "openai", Key: "a", Model: "gpt-4o", Outcome: "server_error", Status: 503, Start: 3, Duration: 0.5, Breaker: "closed"},
		{Upstream: "azure", Key: "b", Model: "gpt-4o-mini", Outcome: "ok", Status: 200, Start: 1000, Duration: 1500, Breaker: "half-open", Hedge: true, Resume: true, Measured: true},
	}
	if !reflect.DeepEqual(c.Attempts, want) {
		t.Errorf("%+v", c.Attempts)
	}
	c.Attempts, c.FirstToken, c.Money, c.WholeHistory = nil, nil, Money{}, nil
	if !reflect.DeepEqual(c, Call{
		ID: "req-7", UID: "00000000000000000000000000000001", Time: Time{today.Truncate(time.Millisecond)}, Operation: "chat", Tenant: "ada", Session: "trip",
		ModelAsked: "gpt-4o", ModelUsed: "gpt-4o-mini", Upstream: "azure", Key: "b", Status: 200, Error: "cut", Stream: true, Cached: true, Degraded: true,
		Latency: 2500, Tokens: CallTokens{200, 100, 50, 30, 20, 2, 1}, Measured: true,
		Phases: CallPhases{Load: 1, Compose: 2, Upstream: 300, Commit: 4}, Memory: CallMemory{"ok", 4, 150, 2, "used"},
	}) {
		t.Errorf("%+v", c)
	}
}

func TestCall_with_an_id_that_was_used_twice_is_both_the_newest_first(t *testing.T) {
	r := newAccountRig(t, callAt(time.Hour, nil), callAt(time.Minute, func(e *ledger.Entry) { e.Priced = false }), callAt(2*time.Hour, nil))
	var list CallList
	r.want(http.StatusOK, http.MethodGet, "/api/calls/req-1", "", &list)
	if len(list.Calls) != 3 || list.Calls[0].USD != nil || !list.Calls[1].Time.After(list.Calls[2].Time.Time) {
		t.Errorf("%+v", list)
	}
	if list.Calls[0].WholeHistory != nil || list.Calls[0].FirstToken != nil {
		t.Errorf("%+v", list.Calls[0])
	}
}

func TestCall_is_found_by_ids_that_paths_must_escape(t *testing.T) {
	ids := map[string]string{"a/b": "a%2Fb", "..": "%2E%2E", "a b": "a%20b", "%2F": "%252F", "京都": "%E4%BA%AC%E9%83%BD", "q?x=1": "q%3Fx=1"}
	for id, escaped := range ids {
		r := newAccountRig(t, callAt(0, func(e *ledger.Entry) { e.ID = id }))
		var list CallList
		if r.want(http.StatusOK, http.MethodGet, "/api/calls/"+escaped, "", &list); len(list.Calls) != 1 || list.Calls[0].ID != id {
			t.Errorf("%q: %+v", id, list)
		}
	}
	newAccountRig(t).refused(http.StatusNotFound, "call_not_found", http.MethodGet, "/api/calls/"+strings.Repeat("x", 2000), "")
}

func TestCall_is_for_its_tenant_and_for_admins(t *testing.T) {
	r := newAccountRig(t, callAt(0, nil), callAt(time.Hour, func(e *ledger.Entry) { e.Tenant = "bob" }))
	var list CallList
	for _, c := range []struct {
		key, query, want string
	}{{adas, "", "ada"}, {bobs, "", "bob"}, {root, "?tenant=ada", "ada"}, {root, "?all=true", "ada bob"}} {
		r.as(c.key).want(http.StatusOK, http.MethodGet, "/api/calls/req-1"+c.query, "", &list)
		var tenants []string
		for _, call := range list.Calls {
			tenants = append(tenants, call.Tenant)
		}
		if got := strings.Join(tenants, " "); got != c.want {
			t.Errorf("%s sees %s with %q, want %s", c.key, got, c.query, c.want)
		}
	}
	r.as(root).refused(http.StatusNotFound, "call_not_found", http.MethodGet, "/api/calls/req-1", "")
	r.refused(http.StatusForbidden, "admin_only", http.MethodGet, "/api/calls/req-1?all=true", "")
	r.refused(http.StatusNotFound, "call_not_found", http.MethodGet, "/api/calls/req-2", "")
}
