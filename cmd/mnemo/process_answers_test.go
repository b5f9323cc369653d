package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestAnswers_come_from_the_cache_where_that_is_wanted(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", "")})
	for i, c := range []struct {
		name, more, first, then string
		kept                    bool
	}{
		{name: "temperature 0", more: zero, kept: true},
		{name: "temperature 0.0, asked twice for", more: `"temperature":0.0,`, first: "on", then: "on", kept: true},
		{name: "no temperature"},
		{name: "temperature 0.7", more: `"temperature":0.7,`},
		{name: "temperature 0.7, asked for", more: `"temperature":0.7,`, first: "on", then: "ON", kept: true},
		{name: "temperature 0, not to be kept", more: zero, first: "off"},
		{name: "no temperature, asked for too late", then: "on"},
		{name: "stored upstream", more: zero + `"store":true,`},
	} {
		q := asking{text: fmt.Sprintf("Question %d.", i), more: c.more, cache: c.first}
		m.asks(t, q)
		// What is put is put in turn: when this is kept, so would be the one before.
		m.kept(t, asking{text: fmt.Sprintf("Witness %d.", i), more: zero})
		before := len(up.all())
		q.cache = c.then
		a := m.asks(t, q)
		if got := len(up.all()) == before; got != c.kept || (a.header.Get("X-Cache") == "hit") != c.kept || a.text != heard(q.text) {
			t.Errorf("%s: kept is %t, X-Cache %q, %q", c.name, got, a.header.Get("X-Cache"), a.text)
		}
		q.cache = "off"
		if before = len(up.all()); m.asks(t, q).header.Get("X-Cache") != "" || len(up.all()) != before+1 {
			t.Errorf("%s: X-Cache: off is answered from the cache", c.name)
		}
	}
	before := len(up.all())
	for _, wrong := range []string{"yes", "no-store", "on, off"} {
		for _, session := range []string{"", "s"} {
			a := m.tries(t, asking{session: session, text: "Hello.", more: zero, cache: wrong})
			if a.status != http.StatusBadRequest || gjson.Get(a.body, "error.code").String() != "invalid_header" || gjson.Get(a.body, "error.param").String() != "X-Cache" {
				t.Errorf("%q: %d %s", wrong, a.status, a.body)
			}
		}
	}
	other := strings.Replace(fmt.Sprintf(`{"model":"gpt-4o",%s"messages":[{"role":"user","content":"Witness 0."}]}`, zero), "gpt-4o", "gpt-4o-mini", 1)
	for range 2 {
		if a, err := m.chat(t.Context(), "", other, http.Header{"X-Cache": {"on"}}); err != nil || a.status != http.StatusOK || a.header.Get("X-Cache") != "" {
			t.Errorf("a model whose answers are not kept: %d, X-Cache %q, %v", a.status, a.header.Get("X-Cache"), err)
		}
	}
	if got := len(up.all()) - before; got != 2 {
		t.Errorf("%d calls went up, want 2", got)
	}
	for result, atLeast := range map[string]float64{"hit": 11, "miss": 8} {
		if got := m.metric(t, fmt.Sprintf(`mnemo_cache_lookups_total{mnemo_cache_result=%q}`, result)); got < atLeast {
			t.Errorf("%v lookups are a %s, want %v at least", got, result, atLeast)
		}
	}
}

func TestAnswers_of_the_cache_are_turns_and_cost_nothing(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream %v", stream), func(t *testing.T) {
			up := newFakeModel(t)
			m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", "")})
			q := asking{session: "a", text: "My name is Ada.", more: zero, stream: stream}
			first := m.asks(t, q)
			if first.header.Get("X-Upstream") != "up" || first.header.Get("X-Cache") != "" {
				t.Errorf("the first answer has %v", first.header)
			}
			m.kept(t, asking{text: "Witness.", more: zero})
			before := len(up.all())
			q.session = "b" // a new session: the same prompt
			hit := m.asks(t, q)
			if len(up.all()) != before || hit.text != first.text {
				t.Errorf("%d calls went up for %q", len(up.all())-before, hit.text)
			}
			age, err := strconv.Atoi(hit.header.Get("Age"))
			if err != nil || age < 0 || age > int(patience/time.Second) || hit.header.Get("X-Cache") != "hit" || hit.header.Get("X-Session-ID") != "b" || hit.header.Get("X-Memory-Status") != "ok" {
				t.Errorf("a hit has %v", hit.header)
			}
			for _, name := range []string{"X-Upstream", "X-Upstream-Key", "X-Upstream-Attempts"} {
				if got := hit.header.Get(name); got != "" {
					t.Errorf("a hit has %s: %s", name, got)
				}
			}
			if first.header.Get("Content-Type") == "" || hit.header.Get("X-Request-ID") == "" {
				t.Errorf("a hit has %v", hit.header)
			}
			q.text = "What is my name?"
			if a := m.asks(t, q); a.text != "Your name is Ada." || a.header.Get("X-Memory-Turns") != "1" {
				t.Errorf("after a hit it says %q of %s turns", a.text, a.header.Get("X-Memory-Turns"))
			}
			wantTurns(t, m, "b", []string{"1 user: My name is Ada. / assistant: You said: My name is Ada.", "2 user: What is my name? / assistant: Your name is Ada."}, nil)
			_, page := m.manage(t, clientKey, http.MethodGet, "b/messages", "")
			if costs := gjson.Get(page, "turns.#.cost_usd").Array(); len(costs) != 2 || costs[0].Float() != 0 || costs[1].Float() <= 0 {
				t.Errorf("the turns cost %v: %s", costs, page)
			}
			m.wantCall(t, hit.header.Get("X-Request-ID"))
		})
	}
}

func TestAnswers_report_the_usage_that_is_asked_for(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", "")})
	q := asking{text: "My name is Ada.", more: zero}
	m.kept(t, q)
	for _, session := range []string{"", "s"} {
		q.session, q.stream, q.more = session, true, zero
		if session != "" {
			q.session = "s-1"
		}
		if a := m.asks(t, q); a.header.Get("X-Cache") != "hit" || strings.Contains(a.body, `"usage":{`) {
			t.Errorf("session %q: X-Cache %q, %s", session, a.header.Get("X-Cache"), a.body)
		}
		if session != "" {
			q.session = "s-2"
		}
		q.more += `"stream_options":{"include_usage":true},`
		a := m.asks(t, q)
		events := strings.Split(strings.TrimSpace(a.body), "\n\n")
		last := strings.TrimPrefix(events[len(events)-2], "data: ")
		if a.header.Get("X-Cache") != "hit" || gjson.Get(last, "usage.prompt_tokens").Int() != 1 || gjson.Get(last, "choices.#").Int() != 0 {
			t.Errorf("session %q: X-Cache %q, %s", session, a.header.Get("X-Cache"), a.body)
		}
	}
}

// The question of a longer session is another prompt.
func TestAnswers_depend_on_what_the_model_is_shown(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", "personas: {guide: {prompt: \"You are a guide.\"}}\n")})
	m.asks(t, asking{session: "told", text: "My name is Ada."})
	question := asking{session: "told", text: "What is my name?", more: zero}
	if a := m.asks(t, question); a.text != "Your name is Ada." {
		t.Errorf("it says %q", a.text)
	}
	question.session = "new"
	if a := m.asks(t, question); a.text != "I do not know your name." {
		t.Errorf("a new session hears %q", a.text)
	}
	m.kept(t, asking{text: "Witness.", more: zero})
	question.session = "newer"
	if a := m.asks(t, question); a.text != "I do not know your name." || a.header.Get("X-Cache") != "hit" {
		t.Errorf("another new session hears %q, X-Cache %q", a.text, a.header.Get("X-Cache"))
	}
	if a := m.asks(t, question); a.header.Get("X-Cache") != "" || a.header.Get("X-Memory-Turns") != "1" {
		t.Errorf("the second time, after %s turns, X-Cache is %q", a.header.Get("X-Memory-Turns"), a.header.Get("X-Cache"))
	}
	before := len(up.all())
	body := fmt.Sprintf(`{"model":"gpt-4o",%s"messages":[{"role":"user","content":"What is my name?"}]}`, zero)
	if a, err := m.chat(t.Context(), "newest", body, http.Header{"X-Persona": {"guide"}}); err != nil || a.header.Get("X-Cache") != "" || len(up.all()) != before+1 {
		t.Errorf("with a persona X-Cache is %q, %v", a.header.Get("X-Cache"), err)
	}
	if a := m.asks(t, asking{session: "one", text: "What is my name?", more: zero + `"seed":7,`}); a.header.Get("X-Cache") != "" {
		t.Error("another request is answered from the cache")
	}
}

func TestAnswers_of_a_tenant_are_nobody_elses(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, setup{file: cachedFile(up.url, "ttl: 1h", "")})
	q := asking{text: "My name is Ada.", more: zero}
	m.kept(t, q)
	q.key = "sk-other-client"
	before := len(up.all())
	if a := m.asks(t, q); a.header.Get("X-Cache") != "" || len(up.all()) != before+1 {
		t.Errorf("another tenant gets X-Cache %q", a.header.Get("X-Cache"))
	}
	nobody := m.as("")
	nobody.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Del("Authorization")
		return m.http.Transport.RoundTrip(r)
	})
	for range 2 {
		a, err := nobody.chat(t.Context(), "", fmt.Sprintf(`{"model":"gpt-4o",%s"messages":[{"role":"user","content":"Hi."}]}`, zero), nil)
		if err != nil || a.header.Get("X-Cache") != "" {
			t.Errorf("who has no key gets %d, X-Cache %q, %v", a.status, a.header.Get("X-Cache"), err)
		}
	}
}
