package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory/storetest/redisserver"
)

// opens begins a stream whose content does not come.
func opens(w http.ResponseWriter, r *http.Request, _ int64) bool {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`+"\n\n")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	return true
}

func TestUpstream_whose_first_token_is_late_is_left_if_there_is_another(t *testing.T) {
	late, next := newActor(t, "late", opens), newActor(t, "next", nil)
	m := serve(t, setup{file: pooled(late.entry(`, keys: [{value: sk-1}], timeouts: {first_token: 200ms}`)+next.entry(`, keys: [{value: sk-2}]`),
		"hedge_after: 0s\nroutes:\n- {model: gpt-4o, to: [{upstream: late}, {upstream: next}]}\n- {model: alone, to: [{upstream: late}]}\n")})
	a := m.says(t, turn{session: "s", text: "My name is Ada.", stream: true}, heard("My name is Ada."))
	if a.header.Get("X-Upstream") != "next" || a.header.Get("X-Upstream-Attempts") != "2" {
		t.Errorf("it is answered by %v", a.header)
	}
	wantTurns(t, m, "s", []string{"1 user: My name is Ada. / assistant: You said: My name is Ada."}, nil)
	late.does(func(http.ResponseWriter, *http.Request, int64) bool {
		<-time.After(time.Second) // it thinks for longer than its limit
		return false
	})
	a, err := m.chat(t.Context(), "s", `{"model":"alone","stream":true,"messages":[{"role":"user","content":"Hello."}]}`, nil)
	if err != nil || a.text != heard("Hello.") {
		t.Errorf("nobody else could be asked, but it is answered with %d %s, %v", a.status, a.body, err)
	}
}

func TestUpstream_is_tried_and_left_as_it_says_itself(t *testing.T) {
	hasty := newActor(t, "hasty", fails(500, "oops"))
	patient := newActor(t, "patient", fails(500, "oops"))
	m := serve(t, setup{file: pooled(
		hasty.entry(`, keys: [{value: sk-1}], retry: {attempts: 0}, breaker: {consecutive: 2, open: 1m, open_max: 1m}`)+
			patient.entry(`, keys: [{value: sk-2}], retry: {attempts: 3}`),
		"retry: {attempts: 1, base: 1ms, max: 5ms}\nroutes:\n- {model: hasty, to: [{upstream: hasty}]}\n- {model: patient, to: [{upstream: patient}]}\n")})
	call := func(model string, status int, calls, attempts int64, up *actor) answer {
		t.Helper()
		before := up.begun.Load()
		a, err := m.chat(t.Context(), "s", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Hello."}]}`, model), nil)
		if got := up.begun.Load() - before; err != nil || a.status != status || got != calls || a.header.Get("X-Upstream-Attempts") != fmt.Sprint(attempts) && attempts > 0 {
			t.Errorf("%s: %d after %d calls and %s attempts, want %d after %d, %v", model, a.status, got, a.header.Get("X-Upstream-Attempts"), status, calls, err)
		}
		return a
	}
	for range 2 {
		call("hasty", 500, 1, 1, hasty)
		call("patient", 500, 4, 4, patient)
	}
	if a := call("hasty", 503, 0, 0, hasty); a.header.Get("Retry-After") == "" {
		t.Errorf("it does not say when to come again: %v", a.header)
	}
	call("patient", 500, 4, 4, patient)
	page, table := m.upstreams(t)
	wantRow(t, table, "hasty hasty open for")
	wantRow(t, table, "patient patient closed 12 100 %")
	for _, u := range page.Array() {
		b := u.Get("breakers.0")
		if want := map[string]string{"hasty": "open", "patient": "closed"}[u.Get("name").String()]; b.Get("state").String() != want || b.Get("error_rate").Float() != 1 {
			t.Errorf("shown is %s", u)
		}
	}
	if got := m.metric(t, `mnemo_upstream_breaker_state{gen_ai_request_model="other",mnemo_upstream_name="hasty"}`); got != 2 {
		t.Errorf("the breaker's metric is %v", got)
	}
}

func TestUpstream_gets_calls_by_the_weights_of_its_keys(t *testing.T) {
	const calls = 400
	up := newActor(t, "up", nil)
	m := serve(t, setup{file: pooled(up.entry(`, keys: [{label: a, value: sk-a, weight: 3}, {label: b, value: sk-b}, {label: spare, value: sk-c, weight: 0}]`), "")})
	for range calls {
		m.says(t, turn{text: "Hello."}, heard("Hello."))
	}
	if a, b, spare := up.with("sk-a"), up.with("sk-b"), up.with("sk-c"); a < 285 || a > 315 || a+b != calls || spare != 0 {
		t.Errorf("the keys got %d, %d and %d calls", a, b, spare)
	}
	m.says(t, turn{session: "s", text: "Hello."}, heard("Hello."))
	before := [...]int{up.with("sk-a"), up.with("sk-b")}
	for range 20 {
		m.says(t, turn{session: "s", text: "Hello."}, heard("Hello."))
	}
	if a, b := up.with("sk-a")-before[0], up.with("sk-b")-before[1]; a*b != 0 {
		t.Errorf("a session's calls have %d times one key and %d times the other", a, b)
	}
}

func TestUpstream_keys_that_are_due_are_used_and_told_of_once(t *testing.T) {
	up := newActor(t, "up", nil)
	old := time.Now().AddDate(0, 0, -100).Format(time.DateOnly)
	file := pooled(up.entry(fmt.Sprintf(`, keys: [{label: old, value: sk-a, since: %s}, {label: new, value: sk-b, since: %s}, {label: unknown, value: sk-c}], rotate_after: 90d`,
		old, time.Now().AddDate(0, 0, -1).Format(time.DateOnly))), "")
	r := serveFile(t, file)
	for range 30 {
		r.says(t, turn{text: "Hello."}, heard("Hello."))
	}
	r.reload(t, file+"memory: {budget: 5000}\n")
	for range 30 {
		r.says(t, turn{text: "Hello."}, heard("Hello."))
	}
	if up.with("sk-a") != 20 {
		t.Errorf("the key that is due got %d calls of 60", up.with("sk-a"))
	}
	page, table := r.upstreams(t)
	wantRow(t, table, "up old ok, to be replaced")
	wantRow(t, table, "up new ok 0")
	if got := page.Get("0.keys.#.overdue").String(); got != "[true,false,false]" {
		t.Errorf("to be replaced are %s", got)
	}
	if lines := r.log.all(`"level":"WARN"`); len(lines) != 1 || !strings.Contains(lines[0], `"old"`) {
		t.Errorf("it warns %d times: %s", len(lines), lines)
	}
	wantNone(t, r.log.String()+table, "sk-a", "sk-b")
}

func TestUpstream_that_is_full_has_a_cheaper_one_answer(t *testing.T) {
	up, cheap := newActor(t, "up", nil), newActor(t, "cheap", nil)
	m := serve(t, setup{file: pooled(up.entry(`, keys: [{value: sk-1}], max_in_flight: 1, queue: {length: 1, wait: 200ms}`)+cheap.entry(`, keys: [{value: sk-2}]`),
		"routes:\n- {model: gpt-4o, to: [{upstream: up}], degrade: [{upstream: cheap, model: gpt-4o-mini}]}\n- {model: gpt-4, to: [{upstream: up}]}\n")})
	begun := open(t, m, turn{session: "long", text: waiting, stream: true})
	for i, stream := range []bool{false, true} {
		a := m.says(t, turn{session: fmt.Sprint("s-", i), text: "Hello.", stream: stream}, heard("Hello."))
		if a.header.Get("X-Upstream") != "cheap" || a.header.Get("X-Degraded") == "" || gjson.Get(cheap.last().body, "model").String() != "gpt-4o-mini" {
			t.Errorf("it is answered by %v", a.header)
		}
	}
	a, err := m.chat(t.Context(), "s", `{"model":"gpt-4","messages":[{"role":"user","content":"Hello."}]}`, nil)
	if err != nil || a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.header.Get("X-Degraded") != "" {
		t.Errorf("where there is nothing cheaper, it is answered with %d %s %v, %v", a.status, a.body, a.header, err)
	}
	page, table := m.upstreams(t)
	wantRow(t, table, "up gpt-4o closed 0 0 % ")
	if page.Get("0.in_flight").Int() != 1 || page.Get("1.in_flight").Int() != 0 {
		t.Errorf("under way are %s", page)
	}
	close(up.ready)
	for {
		if line, err := begun.rest.ReadString('\n'); err != nil || line == "data: [DONE]\n" {
			break
		}
	}
	settles(t, "there is room again", func() bool {
		a := m.says(t, turn{session: "s-0", text: "Hello."}, heard("Hello."))
		return a.header.Get("X-Upstream") == "up" && a.header.Get("X-Degraded") == ""
	})
}

func TestUpstream_that_one_process_finds_dead_is_spared_by_the_other(t *testing.T) {
	server := redisserver.Start(t)
	dead, next := newActor(t, "dead", nil), newActor(t, "next", nil)
	file := pooled(dead.entry(`, keys: [{value: sk-1}]`)+next.entry(`, keys: [{value: sk-2}]`),
		"retry: {attempts: 2, base: 1ms, max: 5ms}\nbreaker: {consecutive: 3, open: 1m, open_max: 1m, share: \"redis://"+server.Addr+"\"}\nroutes: [{model: \"*\", to: [{upstream: dead}, {upstream: next}]}]\n")
	one, other := serve(t, setup{file: file}), serve(t, setup{file: file})
	if a := other.says(t, turn{text: "Hello."}, heard("Hello.")); a.header.Get("X-Upstream") != "dead" {
		t.Errorf("while it lives, it is answered by %v", a.header)
	}
	dead.does(fails(503, "overloaded"))
	for range 5 {
		one.says(t, turn{text: "Hello."}, heard("Hello."))
	}
	found := dead.begun.Load() - 1
	settles(t, "the other process knows", func() bool {
		page, _ := other.upstreams(t)
		return page.Get("0.breakers.0.state").String() == "open"
	})
	third := serve(t, setup{file: file}) // the finding is older than it
	for i := range 20 {
		for _, m := range []*mnemo{other, third} {
			if a := m.says(t, turn{text: "Hello.", stream: i%2 == 0}, heard("Hello.")); a.header.Get("X-Upstream") != "next" || a.header.Get("X-Upstream-Attempts") != "1" {
				t.Errorf("it is answered by %v", a.header)
			}
		}
	}
	if got := dead.begun.Load() - 1; found > 5 || got != found {
		t.Errorf("the dead one got %d calls of one process and %d of the others", found, got-found)
	}
	server.Kill()
	for _, m := range []*mnemo{one, other, third} {
		m.says(t, turn{session: "s", text: "Hello."}, heard("Hello."))
	}
	t.Logf("the dead upstream got %d calls in all", found)
}

func TestUpstream_that_takes_a_cache_key_gets_one_for_each_session(t *testing.T) {
	takes, not := newActor(t, "takes", nil), newActor(t, "not", nil)
	m := serve(t, setup{file: pooled(takes.entry(`, keys: [{value: sk-1}], capabilities: {prompt_cache_key: true}`)+not.entry(`, keys: [{value: sk-2}]`),
		"routes: [{model: other, to: [{upstream: not}]}]\n")})
	key := func(up *actor, session, model, more string) gjson.Result {
		t.Helper()
		a, err := m.chat(t.Context(), session, fmt.Sprintf(`{"model":%q,%s"messages":[{"role":"user","content":"Hello."}]}`, model, more), nil)
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
		return gjson.Get(up.last().body, "prompt_cache_key")
	}
	a, b := key(takes, "a", "gpt-4o", ""), key(takes, "b", "gpt-4o", `"stream":true,`)
	if again := key(takes, "a", "gpt-4o", ""); a.String() == "" || a.String() != again.String() || a.String() == b.String() || b.String() == "" {
		t.Errorf("the keys are %s, %s and %s", a, again, b)
	}
	if own := key(takes, "a", "gpt-4o", `"prompt_cache_key":"mine",`); own.String() != "mine" {
		t.Errorf("the client's own is %s", own)
	}
	if none := key(takes, "", "gpt-4o", ""); none.Exists() {
		t.Errorf("without a session there is %s", none)
	}
	if none := key(not, "a", "other", ""); none.Exists() {
		t.Errorf("who does not take one gets %s", none)
	}
	wantNone(t, a.String()+b.String(), "app")
}
