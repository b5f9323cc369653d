package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/manage"
)

// dry composes what a request would send.
func (r *rig) dry(session, body string, headers ...string) manage.Preview {
	r.t.Helper()
	header := http.Header{"Authorization": {"Bearer sk-client"}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header.Set(name, value)
	}
	key := r.key(session)
	p, err := r.server.preview(r.t.Context(), manage.Caller{Tenant: key.Tenant, Header: header}, key, body)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// states is what becomes of each group, by how it begins.
func states(p manage.Preview) string {
	var all []string
	for _, g := range p.Groups {
		name, _, _ := strings.Cut(g.Preview, " and")
		all = append(all, name+"="+g.State)
	}
	return strings.Join(all, " ")
}

func TestPreview_is_what_the_call_sends(t *testing.T) {
	r, scribe := withScribe(t, withTeachers)
	for n := range 8 {
		r.chat("s", long(n))
	}
	if err := scribe.Fold(t.Context(), scribe.last(t)); err != nil {
		t.Fatal(err)
	}
	for _, headers := range [][]string{nil, {"X-Memory-Strategy: trim"}, {"X-Memory-Budget: 200"}, {"X-Persona: pirate"}} {
		body := user("and now")
		p := r.dry("s", body, headers...)
		turns := len(r.turns("s"))
		if got := r.chat("s", body, append([]string{"X-Memory-Mode: read-only"}, headers...)...); got.status != 200 ||
			got.header.Get("X-Memory-Summary") != p.Summary || len(r.turns("s")) != turns {
			t.Fatalf("%v: %d %v, the preview says %q", headers, got.status, got.header, p.Summary)
		}
		if sent := gjson.Get(r.up.last().body, "messages").Raw; sent != string(p.Messages) {
			t.Errorf("%v: the preview is\n%s\nsent was\n%s", headers, p.Messages, sent)
		}
	}
	if p := r.dry("s", user("x"), "X-Persona: pirate"); p.Persona == nil || *p.Persona != "pirate" || p.Model != "gpt-4o" || p.Budget != 400 {
		t.Errorf("preview %+v", p)
	}
	for body, code := range map[string]string{`no json`: "invalid_json", user("x") + "x": "invalid_json"} {
		_, err := r.server.preview(t.Context(), manage.Caller{}, r.key("s"), body)
		if err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestPreview_says_of_each_group_what_becomes_of_it(t *testing.T) {
	r, scribe := withScribe(t)
	for n := range 7 {
		r.chat("s", long(n))
	}
	first := r.dry("s", user("next"))
	if got := states(first); !strings.HasPrefix(got, "question 0=dropped ") || !strings.HasSuffix(got, "question 5=sent question 6=sent") {
		t.Errorf("before the summary: %s", got)
	}
	if err := scribe.Fold(t.Context(), scribe.last(t)); err != nil {
		t.Fatal(err)
	}
	if got, want := states(r.dry("s", user("next"))), strings.ReplaceAll(states(first), "dropped", "summarised"); got != want {
		t.Errorf("with the summary: %s, want %s", got, want)
	}

	r.chat("e", user("one"))
	r.chat("e", user("two"))
	r.chat("e", script("user: one", "assistant: fine", "user: zwei"))
	r.chat("e", user("three"))
	for body, want := range map[string]string{
		user("four"): "one=sent two=superseded zwei=sent three=sent",
		script("user: three", "assistant: fine", "user: four"): "one=sent two=superseded zwei=sent three=resent",
		script("user: one", "assistant: fine", "user: uno"):    "one=sent two=superseded zwei=superseded three=superseded",
		script("user: zwei", "assistant: fine", "user: three"): "one=sent two=superseded zwei=sent three=sent =superseded",
	} {
		if got := states(r.dry("e", body)); got != want {
			t.Errorf("%s\ngives %s\nwant  %s", body, got, want)
		}
	}
	p := r.dry("e", user("four"))
	if len(p.Groups) != 4 || p.Groups[1].FirstSeq != 2 || p.Groups[1].LastSeq != 2 || p.Groups[1].Reason != "turn 3 stands in its place" {
		t.Errorf("groups %+v", p.Groups)
	}
	sum := 0
	for _, g := range p.Groups {
		if g.State == manage.GroupSent {
			sum += g.Tokens
		}
	}
	if sum == 0 || sum >= p.Tokens {
		t.Errorf("%d tokens of groups in a prompt of %d", sum, p.Tokens)
	}
}

func TestPreview_of_an_empty_session_and_of_what_stands_before_a_question(t *testing.T) {
	r := newRig(t)
	if p := r.dry("none", user("x")); len(p.Groups) != 0 || p.Groups == nil || p.Tokens == 0 {
		t.Errorf("preview %+v", p)
	}
	greeting, err := memory.ParseMessage(`{"role":"assistant","content":"Hello!"}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Append(t.Context(), r.key("g"), memory.Turn{Messages: []memory.Message{greeting}}); err != nil {
		t.Fatal(err)
	}
	r.chat("g", user("one"))
	p := r.dry("g", user("two"))
	if got := states(p); got != "=dropped one=sent" || !strings.Contains(p.Groups[0].Reason, "before the first question") {
		t.Errorf("%s, %+v", got, p.Groups)
	}
}
