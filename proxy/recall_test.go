package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/telemetry"
)

// script is a chat request whose messages stand as "role: text" lines.
func script(lines ...string) string {
	var messages []string
	for _, line := range lines {
		role, text, _ := strings.Cut(line, ": ")
		messages = append(messages, fmt.Sprintf(`{"role":%q,"content":%q}`, role, text))
	}
	return `{"model":"gpt-4o","messages":[` + strings.Join(messages, ",") + `]}`
}

// lines is the contents of a JSON array of messages.
func lines(messages gjson.Result) (all []string) {
	messages.ForEach(func(_, m gjson.Result) bool {
		all = append(all, m.Get("role").String()+": "+m.Get("content").String())
		return true
	})
	return all
}

// live is what a session says, superseded turns left out.
func (r *rig) live(session string) (all []string) {
	for _, turn := range r.turns(session) {
		if turn.SupersededBy != 0 {
			continue
		}
		for _, m := range turn.Messages {
			all = append(all, m.Role+": "+gjson.Get(m.Raw, "content").String())
		}
	}
	return all
}

// numbered has the upstream answer a1, a2 and so on, streaming where it is asked to.
func numbered(up *fakeUpstream) {
	var n atomic.Int64
	up.handle(func(w http.ResponseWriter, _ *http.Request, body string) {
		answer := fmt.Sprint("a", n.Add(1))
		if gjson.Get(body, "stream").Bool() {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, chunk(fmt.Sprintf(`{"role":"assistant","content":%q}`, answer), "stop")+usageEvent+doneEvent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, completion(answer))
	})
}

func TestRecall_clients_that_resend_edit_and_retry_share_a_session(t *testing.T) {
	r := newRig(t)
	numbered(r.up)
	for i, call := range []struct {
		asks   []string
		header string
		sent   string
		live   string
	}{
		{[]string{"user: one"}, "", "one", "one a1"},
		{[]string{"user: one", "assistant: a1", "user: two"}, "", "one a1 two", "one a1 two a2"},
		{[]string{"user: three"}, "", "one a1 two a2 three", "one a1 two a2 three a3"},
		{[]string{"assistant: a3", "user: four"}, "", "one a1 two a2 three a3 four", "one a1 two a2 three a3 four a4"},
		{[]string{"user: four"}, "X-Stainless-Retry-Count: 1", "one a1 two a2 three a3 four", "one a1 two a2 three a3 four a5"},
		{[]string{"user: four"}, "X-Stainless-Retry-Count: 0", "one a1 two a2 three a3 four a5 four", "one a1 two a2 three a3 four a5 four a6"},
		{[]string{"user: one", "assistant: a1", "user: zwei"}, "", "one a1 zwei", "one a1 zwei a7"},
		{[]string{"user: one", "assistant: a1", "user: zwei"}, "", "one a1 zwei", "one a1 zwei a8"},
		{[]string{"user: last"}, "X-Memory-Mode: read-only", "one a1 zwei a8 last", "one a1 zwei a8"},
		{[]string{"user: last"}, "X-Memory-Mode: write-only", "last", "one a1 zwei a8 last a10"},
	} {
		headers := []string{}
		if call.header != "" {
			headers = append(headers, call.header)
		}
		if got := r.chat("s", script(call.asks...), headers...); got.status != 200 {
			t.Fatalf("call %d = %d %s", i, got.status, got.body)
		}
		texts := func(all []string) string {
			for i := range all {
				_, all[i], _ = strings.Cut(all[i], ": ")
			}
			return strings.Join(all, " ")
		}
		if got := texts(lines(gjson.Get(r.up.last().body, "messages"))); got != call.sent {
			t.Errorf("call %d sent %q, want %q", i, got, call.sent)
		}
		if got := texts(r.live("s")); got != call.live {
			t.Errorf("after call %d the session says %q, want %q", i, got, call.live)
		}
	}
	if n := len(r.turns("s")); n != 9 {
		t.Errorf("%d turns are kept, want all 9 that were stored", n)
	}
}

func TestRecall_keeps_what_each_turn_took(t *testing.T) {
	r := newRig(t, func(o *rigOptions) {
		o.proxy.Cost = func(_, model string, u telemetry.Usage) Cost {
			return Cost{NanoDollars: int64(u.Input)*2500 + int64(u.Output)*10_000, Known: model == "gpt-4o"}
		}
	})
	r.up.reply(strings.Replace(completion("fine"), `"prompt_tokens":9,`, `"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4},`, 1))
	r.chat("s", user("measured"))
	r.up.reply(`{"choices":[{"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"model":"gpt-4o"}`)
	r.chat("s", user("estimated"))
	r.up.reply(`{"choices":[{"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
	r.chat("s", `{"model":"llama-at-home","messages":[{"role":"user","content":"unpriced"}]}`)
	r.up.stream(chunk(`{"content":"streamed"}`, "stop"), usageEvent, doneEvent)
	r.chat("s", `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"streamed"}]}`)
	turns := r.turns("s")
	if len(turns) != 4 {
		t.Fatalf("%d turns", len(turns))
	}
	if got, want := turns[0].Usage, (memory.Usage{Input: 9, CachedInput: 4, Output: 3, Cost: 52_500, Priced: true}); got != want {
		t.Errorf("measured %+v, want %+v", got, want)
	}
	if u := turns[1].Usage; !u.Estimated || !u.Priced || u.Input < 10 || u.Input > 40 || u.Output < 1 || u.Output > 2 {
		t.Errorf("estimated %+v", u)
	}
	if u := turns[2].Usage; u.Priced || u.Cost != 0 || u.Input != 1 {
		t.Errorf("unpriced %+v", u)
	}
	if u := turns[3].Usage; u.Input != 9 || u.Output != 3 || u.Estimated || !u.Priced {
		t.Errorf("streamed %+v", u)
	}
	info, err := r.store.Info(t.Context(), r.key("s"))
	if err != nil || info.Spent.Unpriced != 1 || info.Spent.Cost != turns[0].Usage.Cost+turns[1].Usage.Cost+turns[3].Usage.Cost {
		t.Errorf("the session took %+v, %v", info.Spent, err)
	}
}

// An absentStore cannot be read while it is away; it stands for the network before
// a store. What is appended meanwhile it keeps for the test.
type absentStore struct {
	memory.Store
	mu     sync.Mutex
	away   bool
	queued []memory.Turn
}

var errAway = errors.New("away")

func (s *absentStore) Load(ctx context.Context, key memory.Key, need memory.Need) (memory.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return memory.Session{}, errAway
	}
	return s.Store.Load(ctx, key, need)
}

func (s *absentStore) Append(ctx context.Context, key memory.Key, t memory.Turn) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		s.queued = append(s.queued, t)
		return 0, errAway
	}
	return s.Store.Append(ctx, key, t)
}

func TestRecall_hands_over_the_turns_of_calls_that_it_served_without_the_log(t *testing.T) {
	store := &absentStore{}
	r := newRig(t, func(o *rigOptions) {
		store.Store = openStore(t, t.TempDir()+"/m.db")
		o.store = store
		o.proxy.Personas = []Persona{{Name: "pirate", Prompt: "Talk like a pirate."}}
	})
	numbered(r.up)
	r.chat("s", script("user: one"))
	store.mu.Lock()
	store.away = true
	store.mu.Unlock()
	got := r.chat("s", script("user: one", "assistant: a1", "user: two"))
	if got.status != 200 || got.header.Get("X-Memory-Status") != "bypassed" || r.up.last().body != script("user: one", "assistant: a1", "user: two") {
		t.Errorf("whole = %d %v, sent %s", got.status, got.header, r.up.last().body)
	}
	got = r.chat("s", `{"stream":true,`+script("user: three")[1:], "X-Persona: pirate")
	if got.status != 200 || got.header.Get("X-Memory-Status") != "bypassed" || !strings.HasSuffix(got.body, doneEvent) {
		t.Errorf("stream = %d %v %s", got.status, got.header, got.body)
	}
	if sent := lines(gjson.Get(r.up.last().body, "messages")); !slices.Equal(sent, []string{"system: Talk like a pirate.", "user: three"}) {
		t.Errorf("with a persona %q was sent", sent)
	}
	store.mu.Lock()
	store.away = false
	queued := store.queued
	store.mu.Unlock()
	if len(queued) != 2 {
		t.Fatalf("%d turns were handed over, want 2", len(queued))
	}
	for _, turn := range queued {
		if !turn.Unresolved || turn.ID == "" {
			t.Errorf("a turn was handed over as %+v", turn)
		}
		turn, err := memory.Resolve(t.Context(), store, r.key("s"), turn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Append(t.Context(), r.key("s"), turn); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.live("s"), []string{"user: one", "assistant: a1", "user: two", "assistant: a2", "user: three", "assistant: a3"}; !slices.Equal(got, want) {
		t.Errorf("the session says %q, want %q", got, want)
	}
}

func TestRecall_with_a_closed_store_a_stream_whose_turn_is_lost_has_no_end(t *testing.T) {
	store := &absentStore{}
	r := newRig(t, func(o *rigOptions) {
		store.Store = openStore(t, t.TempDir()+"/m.db")
		o.store = store
		o.proxy.Memory.FailClosed = true
	})
	for _, end := range []string{doneEvent, "", strings.TrimSuffix(doneEvent, "\n\n")} {
		r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
			store.mu.Lock()
			store.away = true // between the load and the append
			store.mu.Unlock()
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, chunk(`{"content":"hello"}`, "stop")+usageEvent+end)
		})
		got := r.chat("s", `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
		store.mu.Lock()
		store.away = false
		store.mu.Unlock()
		if got.err == nil || strings.Contains(got.body, "[DONE]") || !strings.Contains(got.body, "store_unavailable") {
			t.Errorf("ending %q the client got %q, %v", end, got.body, got.err)
		}
	}
	if n := len(r.turns("s")); n != 0 {
		t.Errorf("%d turns", n)
	}
}

func TestRecall_does_not_take_a_call_that_failed_for_the_turn_before(t *testing.T) {
	r := newRig(t)
	numbered(r.up)
	r.chat("s", script("user: continue"))
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(http.StatusTooManyRequests) })
	if got := r.chat("s", script("user: continue"), "X-Stainless-Retry-Count: 0"); got.status != 429 {
		t.Fatalf("the failing call = %d", got.status)
	}
	numbered(r.up)
	r.chat("s", script("user: continue"), "X-Stainless-Retry-Count: 1")
	if got, want := r.live("s"), []string{"user: continue", "assistant: a1", "user: continue", "assistant: a1"}; !slices.Equal(got, want) {
		t.Errorf("the session says %q, want %q", got, want)
	}
	r.chat("s", script("user: continue"), "X-Stainless-Retry-Count: 1") // now its answer was lost
	if got, want := r.live("s"), []string{"user: continue", "assistant: a1", "user: continue", "assistant: a2"}; !slices.Equal(got, want) {
		t.Errorf("the session says %q, want %q", got, want)
	}
}
