package proxy

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/proxy/upstream"
)

func TestReasoning_is_sent_again_where_the_upstream_takes_it(t *testing.T) {
	thinking := strings.Replace(completion("fine"), `"refusal":null`, `"refusal":null,"reasoning_content":"So \"that\" is it."`, 1)
	for _, streamed := range []bool{false, true} {
		r := newRig(t, func(o *rigOptions) { o.upstream.Upstreams[0].ReplayReasoning = true })
		body := `{"model":"gpt-4o","messages":[{"role":"user","content":"one"}]}`
		r.up.reply(thinking)
		if streamed {
			body = `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"one"}]}`
			r.up.stream(chunk(`{"role":"assistant","reasoning_content":"So \"th"}`, "null"), chunk(`{"reasoning_content":"at\" is it."}`, "null"),
				chunk(`{"content":"fine"}`, "stop"), doneEvent)
		}
		r.chat("s", body)
		r.up.reply(thinking)
		r.chat("s", user("two"))
		if got := gjson.Get(r.up.last().body, "messages.1.reasoning_content").String(); got != `So "that" is it.` {
			t.Errorf("streamed %v: the upstream got %s", streamed, r.up.last().body)
		}
		without, err := upstream.New(upstream.Options{Upstreams: []upstream.Upstream{{Name: "fake", URL: r.up.URL + "/v1"}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(without.Close)
		r.apply(func(s *Settings) { s.Pool = without })
		r.chat("s", user("three"))
		if sent := r.up.last().body; strings.Contains(sent, "reasoning") || gjson.Get(sent, "messages.#").Int() != 5 {
			t.Errorf("streamed %v: an upstream that does not take it got %s", streamed, sent)
		}
		if kept := said(r.turns("s")[:1]); !strings.Contains(kept, "reasoning_content") {
			t.Errorf("streamed %v: the log is %s", streamed, kept)
		}
	}
}

func TestReasoning_is_not_kept_where_the_upstream_does_not_take_it(t *testing.T) {
	r := newRig(t)
	r.up.reply(strings.Replace(completion("fine"), `"refusal":null`, `"refusal":null,"reasoning":"hm"`, 1))
	r.chat("s", user("one"))
	if kept := said(r.turns("s")); strings.Contains(kept, "reasoning") {
		t.Errorf("the log is %s", kept)
	}
}

func TestCacheKey_is_one_for_each_session_and_tells_nothing(t *testing.T) {
	r := newRig(t, func(o *rigOptions) {
		o.upstream.Upstreams[0].PromptCacheKey = true
		o.proxy.CacheKeys = true
	})
	keyOf := func(session, body string) string {
		r.chat(session, body)
		return gjson.Get(r.up.last().body, "prompt_cache_key").String()
	}
	one, again, other := keyOf("s-one", user("a")), keyOf("s-one", user("b")), keyOf("s-two", user("a"))
	if one == "" || one != again || one == other || strings.Contains(one, "s-one") {
		t.Errorf("the keys are %q, %q and %q", one, again, other)
	}
	if own := keyOf("s-one", `{"model":"gpt-4o","prompt_cache_key":"mine","messages":[{"role":"user","content":"c"}]}`); own != "mine" {
		t.Errorf("the client's own key went up as %q", own)
	}
}
