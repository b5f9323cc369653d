package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// Each change is made to a process that serves, and holds for the next call; what the
// one before changed is as it was.
func TestReload_has_the_next_call_made_as_the_file_says(t *testing.T) {
	up := newFakeModel(t)
	file := sharedFile(up, "")
	r := serveFile(t, file)
	call := func(t *testing.T, session, more string, want int, header http.Header) (modelCall, answer) {
		t.Helper()
		a, err := r.chat(t.Context(), session, `{"model":"gpt-4o",`+more+`"messages":[{"role":"user","content":"Hello."}]}`, header)
		if err != nil || a.status != want {
			t.Fatalf("it is answered with %d %s, %v, want %d", a.status, a.body, err, want)
		}
		return up.last(), a
	}
	perUpstream := func(more string) string { return strings.Replace(file, "url:", more+", url:", 1) }
	for _, c := range []struct {
		name, file string
		holds      func(t *testing.T)
	}{
		{"a persona", file + "personas: {guide: {prompt: \"You are a guide.\"}}\n", func(t *testing.T) {
			got, _ := call(t, "p", "", 200, http.Header{"X-Persona": {"guide"}})
			if said := gjson.Get(got.body, "messages.0.content").String(); said != "You are a guide." {
				t.Errorf("the upstream is told %q", said)
			}
		}},
		{"the persona is gone", file, func(t *testing.T) {
			call(t, "q", "", 400, http.Header{"X-Persona": {"guide"}})
		}},
		{"another name of the session's header", file + "memory: {session_header: X-Conversation}\n", func(t *testing.T) {
			got, a := call(t, "ignored", "", 200, http.Header{"X-Conversation": {"c"}})
			if a.header.Get("X-Session-ID") != "c" || got.header.Get("X-Conversation") != "" {
				t.Errorf("the session is %q", a.header.Get("X-Session-ID"))
			}
		}},
		{"a window of one group", file + "memory: {strategy: window, window: 1}\n", func(t *testing.T) {
			for range 3 {
				call(t, "w", "", 200, nil)
			}
			if _, a := call(t, "w", "", 200, nil); a.header.Get("X-Memory-Turns") != "1" || a.header.Get("X-Memory-Dropped") != "2" {
				t.Errorf("%s turns are sent", a.header.Get("X-Memory-Turns"))
			}
		}},
		{"no window", file, func(t *testing.T) {
			if _, a := call(t, "w", "", 200, nil); a.header.Get("X-Memory-Turns") != "4" {
				t.Errorf("%s turns are sent", a.header.Get("X-Memory-Turns"))
			}
		}},
		{"another name of the model", file + "routes: [{model: \"gpt-*\", to: [{upstream: up, model: other}]}]\n", func(t *testing.T) {
			if got, _ := call(t, "", "", 200, nil); gjson.Get(got.body, "model").String() != "other" {
				t.Errorf("the upstream is sent %s", got.body)
			}
		}},
		{"headers", perUpstream("headers: {X-Team: blue}, organization: org-1, project: proj-1"), func(t *testing.T) {
			got, _ := call(t, "", "", 200, http.Header{"X-Team": {"red"}})
			if h := got.header; h.Get("X-Team") != "blue" || h.Get("OpenAI-Organization") != "org-1" || h.Get("OpenAI-Project") != "proj-1" {
				t.Errorf("the upstream is sent %v", h)
			}
		}},
		{"a key of the pool", strings.Replace(file, "sk-up-1", "sk-up-2", 1), func(t *testing.T) {
			if got, _ := call(t, "w", "", 200, nil); got.header.Get("Authorization") != "Bearer sk-up-2" {
				t.Errorf("the upstream is sent %s", got.header.Get("Authorization"))
			}
		}},
		{"an upstream without stream_options", perUpstream("capabilities: {stream_options: false}"), func(t *testing.T) {
			if got, _ := call(t, "u", `"stream":true,`, 200, nil); gjson.Get(got.body, "stream_options").Exists() {
				t.Errorf("the upstream is sent %s", got.body)
			}
		}},
		{"stream_options again", file, func(t *testing.T) {
			if got, _ := call(t, "u", `"stream":true,`, 200, nil); !gjson.Get(got.body, "stream_options.include_usage").Bool() {
				t.Errorf("the upstream is sent %s", got.body)
			}
		}},
		{"a smaller body", file + "limits: {body: 1KiB}\n", func(t *testing.T) {
			call(t, "b", `"x":"`+strings.Repeat("x", 2000)+`",`, 413, nil)
		}},
		{"a limit of nesting", file + "limits: {depth: 16}\n", func(t *testing.T) {
			call(t, "b", `"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,`, 400, nil)
		}},
		{"no retries", file + "retry: {attempts: 0}\n", func(t *testing.T) { attempts(t, r, up, 1) }},
		{"one retry", file + "retry: {attempts: 1, base: 1ms}\n", func(t *testing.T) { attempts(t, r, up, 2) }},
		{"models of a key", strings.Replace(file, "{name: app,", "{name: app, models: [\"o*\"],", 1), func(t *testing.T) {
			call(t, "", "", 403, nil)
		}},
		{"answers are kept", file + "routes: [{model: \"*\", to: [{upstream: up}], cache: {ttl: 1h}}]\n", func(t *testing.T) {
			call(t, "", `"temperature":0,`, 200, nil)
			settles(t, "an answer is kept", func() bool {
				_, a := call(t, "", `"temperature":0,`, 200, nil)
				return a.header.Get("X-Cache") == "hit"
			})
		}},
		{"answers are not kept", file, func(t *testing.T) {
			if _, a := call(t, "", `"temperature":0,`, 200, nil); a.header.Get("X-Cache") != "" {
				t.Errorf("the cache says %q", a.header.Get("X-Cache"))
			}
		}},
		{"a budget", file + "budgets: [{name: few, scope: session, match: spent, limit: 1 tokens, per: month}]\n", func(t *testing.T) {
			call(t, "spent", "", 200, nil)
			settles(t, "the budget is used up", func() bool {
				a, err := r.ask(t.Context(), turn{session: "spent", text: "Hello."})
				return err == nil && a.status == http.StatusTooManyRequests && gjson.Get(a.body, "error.code").String() == "insufficient_quota"
			})
		}},
		{"no budget", file, func(t *testing.T) { call(t, "spent", "", 200, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.reload(t, c.file)
			c.holds(t)
		})
	}
}

// attempts wants so many calls of the upstream for one that fails.
func attempts(t *testing.T, r *reloadable, up *fakeModel, want int) {
	t.Helper()
	before := len(up.all())
	a, err := r.chat(t.Context(), "", `{"model":"503","messages":[{"role":"user","content":"Hello."}]}`, nil)
	if got := len(up.all()) - before; err != nil || a.status != http.StatusServiceUnavailable || got != want {
		t.Errorf("%d calls, want %d: %d, %v", got, want, a.status, err)
	}
}

func TestReload_limits_what_begins_and_not_what_is_under_way(t *testing.T) {
	up := newFakeModel(t)
	file := sharedFile(up, "")
	r := serveFile(t, file)
	begun := []*opened{open(t, r.mnemo, turn{text: waiting, stream: true}), open(t, r.mnemo, turn{text: waiting, stream: true})}
	r.reload(t, file+"limits: {in_flight: 1}\n")
	if a, err := r.ask(t.Context(), turn{text: "Hello."}); err != nil || a.status != http.StatusServiceUnavailable {
		t.Errorf("beyond the limit it is answered with %d %s, %v", a.status, a.body, err)
	}
	close(up.ready)
	for _, o := range begun {
		for {
			line, err := o.rest.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "data: [DONE]\n" {
				break
			}
		}
	}
	settles(t, "there is room again", func() bool {
		a, err := r.ask(t.Context(), turn{text: "Hello."})
		return err == nil && a.status == http.StatusOK
	})
}

func TestReload_starts_another_beside_one_that_is_silent_from_then_on(t *testing.T) {
	up, silent := newFakeModel(t), newDoorkeeper(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the caller leaves
		<-r.Context().Done()
	}))
	file := sharedFile(up, fmt.Sprintf("- {name: silent, url: %s}\nroutes: [{model: \"*\", to: [{upstream: silent}, {upstream: up}]}]\n", silent.url))
	r := serveFile(t, file)
	r.reload(t, file+"hedge_after: 100ms\n")
	begin := time.Now()
	a := r.says(t, turn{session: "s", text: "Hello.", stream: true}, heard("Hello."))
	if took := time.Since(begin); a.header.Get("X-Upstream") != "up" || took > patience/2 {
		t.Errorf("%s answers after %v", a.header.Get("X-Upstream"), took)
	}
}
