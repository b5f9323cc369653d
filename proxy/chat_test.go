package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/memory/tokens"
)

const (
	helloU = `{"role":"user","content":"hello"}`
	againU = `{"role":"user","content":"again"}`
	fineA  = `{"role":"assistant","content":"fine"}`
)

func TestChat_the_second_call_carries_the_first_turn(t *testing.T) {
	r := newRig(t)
	first := r.chat("s1", user("hello"))
	if first.status != 200 || first.body != completion("fine") || first.header.Get("X-Memory-Status") != "ok" || first.header.Get("X-Session-Id") != "s1" {
		t.Fatalf("first = %d %v %s", first.status, first.header, first.body)
	}
	if got := r.up.last().body; got != user("hello") {
		t.Errorf("the first call went up as %s", got)
	}
	second := r.chat("s1", user("again", `"temperature":0.70`, `"seed":12345678901234567890`))
	if want := `{"model":"gpt-4o","messages":[` + helloU + `,` + fineA + `,` + againU + `],"temperature":0.70,"seed":12345678901234567890}`; r.up.last().body != want {
		t.Errorf("the second call went up as %s\nwant %s", r.up.last().body, want)
	}
	for name, want := range map[string]string{"X-Memory-Turns": "1", "X-Memory-Dropped": "0", "X-Memory-Summary": "none", "X-Upstream": "fake", "X-Upstream-Attempts": "1"} {
		if got := second.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if n := second.header.Get("X-Memory-Tokens"); n == "" || n == "0" {
		t.Errorf("X-Memory-Tokens = %q", n)
	}
	if r.up.last().header.Get("X-Session-Id") != "" {
		t.Error("the session went upstream")
	}
}

func TestChat_sessions_and_tenants_are_apart(t *testing.T) {
	r := newRig(t)
	r.chat("s", user("hello"))
	for _, other := range []struct{ session, key string }{{"S", "sk-client"}, {"s2", "sk-client"}, {"s", "sk-other"}} {
		req, _ := http.NewRequest("POST", r.url+"/v1/chat/completions", strings.NewReader(user("again")))
		req.Header.Set("X-Session-ID", other.session)
		req.Header.Set("Authorization", "Bearer "+other.key)
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := r.up.last().body; got != user("again") {
			t.Errorf("%v saw %s", other, got)
		}
	}
}

func TestChat_system_messages_are_instructions_of_the_session(t *testing.T) {
	r := newRig(t)
	system := func(text string) string {
		return `{"model":"gpt-4o","messages":[{"role":"system","content":"` + text + `"},` + helloU + `]}`
	}
	r.chat("s", system("be brief"))
	if got := said(r.turns("s")); got != helloU+"\n"+fineA+"\n" {
		t.Errorf("stored %s", got)
	}
	r.chat("s", user("again"))
	if got, want := gjson.Get(r.up.last().body, "messages").Raw, `[{"role":"system","content":"be brief"},`+helloU+`,`+fineA+`,`+againU+`]`; got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	r.chat("s", system("be long"))
	if got := gjson.Get(r.up.last().body, "messages.#(role==system)#.content").Raw; got != `["be long"]` {
		t.Errorf("system messages sent: %s", got)
	}
}

func TestChat_a_client_that_resends_the_conversation_doubles_nothing(t *testing.T) {
	r := newRig(t)
	r.chat("s", user("hello"))
	full := `{"model":"gpt-4o","messages":[` + helloU + `,{"role":"assistant","content":[{"type":"text","text":"fine"}]},` + againU + `]}`
	r.chat("s", full)
	if got, want := gjson.Get(r.up.last().body, "messages").Raw, `[`+helloU+`,`+fineA+`,`+againU+`]`; got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	if got, want := said(r.turns("s")), helloU+"\n"+fineA+"\n"+againU+"\n"+fineA+"\n"; got != want {
		t.Errorf("stored %s", got)
	}
}

func TestChat_tool_calls_survive_and_results_find_them(t *testing.T) {
	r := newRig(t)
	r.up.reply(`{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}],"annotations":[]},"finish_reason":"tool_calls"}]}`)
	r.chat("s", user("hello"))
	r.up.reply(completion("done"))
	result := `{"role":"tool","tool_call_id":"call_1","content":"42"}`
	r.chat("s", `{"model":"gpt-4o","messages":[`+result+`]}`)
	want := `[` + helloU + `,{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},` + result + `]`
	if got := gjson.Get(r.up.last().body, "messages").Raw; got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	if turns := r.turns("s"); len(turns) != 2 || len(turns[1].Messages) != 2 {
		t.Errorf("stored %s", said(turns))
	}
}

func TestChat_modes(t *testing.T) {
	for mode, want := range map[string]struct {
		sent   string
		stored int
		status string
	}{
		"on":         {helloU + `,` + fineA + `,` + againU, 2, "ok"},
		"off":        {againU, 1, "off"},
		"read-only":  {helloU + `,` + fineA + `,` + againU, 1, "ok"},
		"write-only": {againU, 2, "ok"},
	} {
		r := newRig(t)
		r.chat("s", user("hello"))
		got := r.chat("s", user("again"), "X-Memory-Mode: "+mode)
		if sent := gjson.Get(r.up.last().body, "messages").Raw; sent != "["+want.sent+"]" {
			t.Errorf("%s: sent %s", mode, sent)
		}
		if n := len(r.turns("s")); n != want.stored {
			t.Errorf("%s: %d turns, want %d", mode, n, want.stored)
		}
		if got.header.Get("X-Memory-Status") != want.status {
			t.Errorf("%s: status %q", mode, got.header.Get("X-Memory-Status"))
		}
	}
}

func TestChat_the_session_may_stand_in_the_base_URL(t *testing.T) {
	r := newRig(t)
	r.do("POST", "/s/a%2Fb/v1/chat/completions", user("hello"))
	if n := len(r.turns("a/b")); n != 1 {
		t.Errorf("%d turns under the id of the path", n)
	}
	got := r.do("POST", "/s/a%2Fb/v1/chat/completions", user("again"), "X-Session-ID: header")
	if got.header.Get("X-Session-Id") != "header" || len(r.turns("header")) != 1 {
		t.Error("the header did not win")
	}
	if r.do("GET", "/s/a/v1/models?x", ""); r.up.last().uri != "/v1/models?x" {
		t.Errorf("pass-through went to %s", r.up.last().uri)
	}
}

func TestChat_bad_input_gets_a_clear_400(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ body, header, code, says string }{
		{user("x"), "X-Session-ID: a b", "invalid_session_id", "visible ASCII"},
		{user("x"), "X-Session-ID: ", "invalid_session_id", "visible ASCII"},
		{user("x"), "X-Session-ID: \u00e9", "invalid_session_id", "visible ASCII"},
		{user("x"), "X-Session-ID: " + strings.Repeat("x", 257), "invalid_session_id", "256"},
		{user("x"), "X-Memory-Mode: maybe", "invalid_header", "X-Memory-Mode"},
		{user("x"), "X-Memory-Budget: -5", "invalid_header", "X-Memory-Budget"},
		{user("x"), "X-Memory-Budget: lots", "invalid_header", "X-Memory-Budget"},
		{user("x"), "X-Memory-Strategy: guess", "invalid_header", "X-Memory-Strategy"},
		{user("x"), "X-Persona: pirate", "unknown_persona", "there is none"},
		{user("x"), "X-Persona-Vars: a=b", "invalid_header", "X-Persona"},
		{`not json`, "X-Session-ID: s", "invalid_json", "JSON"},
		{`{"messages":[{"role":"user","content":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}]}`, "X-Session-ID: s", "body_too_deep", "limits.depth"},
		{`{"model":"x"}`, "X-Session-ID: s", "missing_messages", "messages"},
	} {
		name, value, _ := strings.Cut(c.header, ": ")
		req, _ := http.NewRequest("POST", r.url+"/v1/chat/completions", strings.NewReader(c.body))
		req.Header.Set("X-Session-ID", "s")
		req.Header.Set(name, value)
		got := r.send(req)
		if got.status != 400 || gjson.Get(got.body, "error.code").String() != c.code || !strings.Contains(got.body, c.says) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", c.header, got.status, got.body)
		}
	}
	if n := len(r.up.requests()); n != 0 {
		t.Errorf("%d bad requests went up", n)
	}
	if got := r.chat("s", user(strings.Repeat("x", DefaultBodyLimit))); got.status != 413 || !strings.Contains(got.body, "limits.body") {
		t.Errorf("too large = %d %s", got.status, got.body)
	}
}

func TestChat_failed_calls_leave_the_history_as_it_was(t *testing.T) {
	stream := `"stream":true`
	text := chunk(`{"content":"half"}`, "null")
	for name, c := range map[string]struct {
		body   string
		script func(*fakeUpstream)
	}{
		"400": {user("x"), func(up *fakeUpstream) {
			up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(400) })
		}},
		"500": {user("x"), func(up *fakeUpstream) {
			up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(500) })
		}},
		"no JSON": {user("x"), func(up *fakeUpstream) { up.reply("<html>") }},
		"cut JSON": {user("x"), func(up *fakeUpstream) {
			up.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"+completion("fine")[:100], false)
		}},
		"cut stream": {user("x", stream), func(up *fakeUpstream) {
			up.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"+hexChunk(text), true)
		}},
		"closed early": {user("x", stream), func(up *fakeUpstream) {
			up.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"+text, false)
		}},
		"error event": {user("x", stream), func(up *fakeUpstream) { up.stream(text, `data: {"error":{"message":"boom"}}`+"\n\n", doneEvent) }},
		"no finish":   {user("x", stream), func(up *fakeUpstream) { up.stream(text, doneEvent) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.chat("s", user("hello"))
			c.script(r.up)
			r.chat("s", c.body)
			if got := said(r.turns("s")); got != helloU+"\n"+fineA+"\n" {
				t.Errorf("stored %s", got)
			}
		})
	}
}

func hexChunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

func TestChat_a_closed_early_stream_is_visibly_cut(t *testing.T) {
	r := newRig(t)
	r.up.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"+chunk(`{"content":"half"}`, "null"), false)
	got := r.chat("s", user("x", `"stream":true`))
	if got.err == nil || !strings.Contains(got.body, `data: {"error":`) || strings.Contains(got.body, "[DONE]") {
		t.Errorf("body = %q, %v", got.body, got.err)
	}
}

func TestChat_the_turn_is_stored_before_the_client_sees_the_end(t *testing.T) {
	for _, body := range []string{user("hello"), user("hello", `"stream":true`)} {
		r := newRig(t)
		if strings.Contains(body, "stream") {
			r.up.stream(chunk(`{"content":"fine"}`, "null"), chunk(`{}`, "stop"), doneEvent)
		}
		for i := range 20 {
			session := fmt.Sprintf("s%d", i)
			if got := r.chat(session, body); got.err != nil {
				t.Fatal(got.err)
			}
			if n := len(r.turns(session)); n != 1 {
				t.Fatalf("%d turns when the client has seen the end", n)
			}
		}
	}
}

func TestChat_what_a_client_saw_of_a_stream_it_left_is_kept(t *testing.T) {
	for _, keep := range []bool{true, false} {
		r := newRig(t, func(o *rigOptions) { o.proxy.Memory.DiscardPartial = !keep })
		r.up.hang(func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, chunk(`{"content":"some "}`, "null")+chunk(`{"content":"text"}`, "null"))
			io.WriteString(w, chunk(`{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]}`, "null"))
		})
		body := user("hello", `"stream":true`)
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-client\r\nX-Session-ID: s\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		var seen strings.Builder
		for buf := make([]byte, 4096); !strings.Contains(seen.String(), "tool_calls"); {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			seen.Write(buf[:n])
		}
		conn.Close()
		r.accessLine(1)
		if !keep {
			if n := len(r.turns("s")); n != 0 {
				t.Errorf("%d turns though partial ones are to be discarded", n)
			}
			continue
		}
		eventually(t, "the partial turn", func() bool { return len(r.turns("s")) == 1 })
		turn := r.turns("s")[0]
		if !turn.Partial || said([]memory.Turn{turn}) != helloU+"\n"+`{"role":"assistant","content":"some text"}`+"\n" {
			t.Errorf("stored %+v", turn)
		}
	}
}

func TestChat_concurrent_turns_of_a_session_are_all_stored_whole(t *testing.T) {
	r := newRig(t)
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, body string) {
		last := gjson.Get(body, "messages.@reverse.0.content").String()
		io.WriteString(w, completion("to "+last))
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() { r.chat("s", user(fmt.Sprintf("q%d", i))) })
	}
	wg.Wait()
	turns := r.turns("s")
	if len(turns) != 64 {
		t.Fatalf("%d turns, want 64", len(turns))
	}
	for _, turn := range turns {
		q, a := gjson.Get(turn.Messages[0].Raw, "content").String(), gjson.Get(turn.Messages[1].Raw, "content").String()
		if a != "to "+q {
			t.Errorf("%q is followed by %q", q, a)
		}
	}
}

func TestChat_budget_and_strategy_headers_shape_the_prompt(t *testing.T) {
	r := newRig(t)
	for i := range 10 {
		r.chat("s", user(fmt.Sprintf("question number %d", i)))
	}
	count := func(headers ...string) (sent int, dropped string) {
		got := r.chat("s", user("last"), append(headers, "X-Memory-Mode: read-only")...)
		return int(gjson.Get(r.up.last().body, "messages.#").Int()), got.header.Get("X-Memory-Dropped")
	}
	if n, dropped := count(); n != 21 || dropped != "0" {
		t.Errorf("by default %d messages, %s dropped", n, dropped)
	}
	n, dropped := count("X-Memory-Budget: 60")
	if n < 3 || n > 9 || dropped == "0" {
		t.Errorf("with a budget of 60: %d messages, %s dropped", n, dropped)
	}
	total := 3
	gjson.Get(r.up.last().body, "messages").ForEach(func(_, m gjson.Result) bool {
		total += tokens.For("gpt-4o").CountMessage(m.Raw)
		return true
	})
	if total > 60 || total < 30 {
		t.Errorf("a prompt of %d tokens for a budget of 60", total)
	}
}

// countingCounter counts how often a tokenizer runs, by phase.
func countingCounter(calls *atomic.Int64) func(string) *memory.Counter {
	count := func(raw string) int {
		calls.Add(1)
		return tokens.For("").CountMessage(raw)
	}
	c := &memory.Counter{Message: count, Fixed: count}
	return func(string) *memory.Counter { return c }
}

func TestChat_nothing_is_tokenised_on_the_way_up_while_counts_are_stored(t *testing.T) {
	var calls atomic.Int64
	r := newRig(t, func(o *rigOptions) { o.proxy.Counter = countingCounter(&calls) })
	for i := range 30 {
		r.chat("s", user(strings.Repeat("word ", 20)+fmt.Sprint(i)))
	}
	stored := calls.Load()
	if stored != 60 {
		t.Errorf("%d counts for 60 messages", stored)
	}
	var onPath int64
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		onPath = calls.Load() - stored
		io.WriteString(w, completion("fine"))
	})
	r.chat("s", user("one more"))
	if onPath != 0 {
		t.Errorf("%d counts before the call went up", onPath)
	}
	if after := calls.Load() - stored; after != 2 {
		t.Errorf("%d counts for 2 new messages", after)
	}
}

func TestChat_a_full_session_says_so_and_loses_nothing(t *testing.T) {
	r := newRig(t, func(o *rigOptions) { o.proxy.Limits.Session = 2000 })
	var got exchanged
	n := 0
	for ; n < 50; n++ {
		if got = r.chat("s", user(strings.Repeat("x", 100))); got.status != 200 {
			break
		}
	}
	if got.status != 413 || gjson.Get(got.body, "error.code").String() != "session_full" || !strings.Contains(got.body, "limits.session") {
		t.Fatalf("answer = %d %s", got.status, got.body)
	}
	if stored := len(r.turns("s")); stored != n {
		t.Errorf("%d turns of %d that were answered", stored, n)
	}
	if got := r.chat("s", user("x"), "X-Memory-Mode: read-only"); got.status != 200 {
		t.Errorf("read-only = %d", got.status)
	}
}

// A brokenStore fails as a store does that cannot be reached. It stands for the
// network behind a store, not for our code.
type brokenStore struct{ memory.Store }

func (brokenStore) Load(ctx context.Context, _ memory.Key, _ memory.Need) (memory.Session, error) {
	<-ctx.Done() // until the deadline of the proxy
	return memory.Session{}, ctx.Err()
}
func (brokenStore) Append(context.Context, memory.Key, memory.Turn) (int64, error) {
	return 0, io.ErrClosedPipe
}
func (brokenStore) Ping(context.Context) error { return io.ErrClosedPipe }
func (brokenStore) Close() error               { return nil }

func TestChat_without_a_store_calls_are_served_or_refused_as_configured(t *testing.T) {
	for _, closed := range []bool{false, true} {
		r := newRig(t, func(o *rigOptions) {
			o.store, o.proxy.Memory.FailClosed, o.proxy.Memory.LoadTimeout = brokenStore{}, closed, 10*time.Millisecond
		})
		got := r.chat("s", user("hello"))
		if closed {
			if got.status != 503 || gjson.Get(got.body, "error.code").String() != "store_unavailable" || got.header.Get("Retry-After") == "" {
				t.Errorf("closed = %d %s", got.status, got.body)
			}
		} else if got.status != 200 || got.header.Get("X-Memory-Status") != "bypassed" || r.up.last().body != user("hello") {
			t.Errorf("open = %d %v", got.status, got.header)
		}
		if ready := r.do("GET", "/readyz", ""); ready.status != 503 || !strings.Contains(ready.body, "unreachable") {
			t.Errorf("readyz = %d %s", ready.status, ready.body)
		}
	}
}

func TestChat_a_session_needs_a_key_in_passthrough(t *testing.T) {
	r := newRig(t)
	req, _ := http.NewRequest("POST", r.url+"/v1/chat/completions", strings.NewReader(user("x")))
	req.Header.Set("X-Session-ID", "s")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 401 || gjson.GetBytes(body, "error.code").String() != "missing_api_key" {
		t.Errorf("answer = %d %s", resp.StatusCode, body)
	}
}
