package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

var teachers = []Persona{
	{Name: "teacher", Prompt: "You teach {subject} in {language}. Say {{x}}, not {1}.", Vars: map[string]string{"language": "English"}, Greeting: "Hello!"},
	{Name: "pirate", Prompt: "Talk like a pirate."},
}

func withTeachers(o *rigOptions) { o.proxy.Personas = teachers }

// system is the system messages that went up last.
func (r *rig) system() (all []string) {
	for _, line := range lines(gjson.Get(r.up.last().body, "messages")) {
		if text, ok := strings.CutPrefix(line, "system: "); ok {
			all = append(all, text)
		}
	}
	return all
}

func TestPersona_stands_before_the_requests_own_instructions_and_sticks(t *testing.T) {
	r := newRig(t, withTeachers)
	maths := "You teach 数学 in English. Say {x}, not {1}."
	for i, call := range []struct {
		body    string
		headers []string
		want    []string
	}{
		{script("user: hi"), nil, nil},
		{script("user: hi"), []string{"X-Persona: teacher", "X-Persona-Vars: subject=%E6%95%B0%E5%AD%A6"}, []string{maths}},
		{script("user: more"), nil, []string{maths}},
		{script("system: Be brief.", "user: more"), nil, []string{maths, "Be brief."}},
		{script("user: more"), nil, []string{maths, "Be brief."}},
		{script("user: more"), []string{"X-Persona: pirate"}, []string{"Talk like a pirate.", "Be brief."}},
		{script("user: more"), []string{"X-Memory-Mode: read-only", "X-Persona: teacher", "X-Persona-Vars: subject=a&language=b"},
			[]string{"You teach a in b. Say {x}, not {1}.", "Be brief."}},
		{script("user: more"), nil, []string{"Talk like a pirate.", "Be brief."}},
		{script("user: more"), []string{"X-Persona: none"}, []string{"Be brief."}},
		{script("user: more"), nil, []string{"Be brief."}},
	} {
		if got := r.chat("s", call.body, call.headers...); got.status != 200 {
			t.Fatalf("call %d = %d %s", i, got.status, got.body)
		}
		if got := r.system(); !slices.Equal(got, call.want) {
			t.Errorf("call %d: instructions %q, want %q", i, got, call.want)
		}
	}
	if said := said(r.turns("s")); strings.Contains(said, "pirate") || strings.Contains(said, "teach") {
		t.Errorf("the persona was stored as a part of the conversation:\n%s", said)
	}
}

func TestPersona_mistakes_are_told_with_the_choices(t *testing.T) {
	r := newRig(t, withTeachers)
	for _, c := range []struct{ session, headers, code, says string }{
		{"s", "X-Persona: nobody", "unknown_persona", "pirate, teacher"},
		{"s", "X-Persona: teacher", "missing_persona_variable", "subject"},
		{"s", "X-Persona: pirate\nX-Persona-Vars: a=b", "unknown_persona_variable", "none"},
		{"s", "X-Persona: teacher\nX-Persona-Vars: subject=a&subject=b", "invalid_header", "more than once"},
		{"s", "X-Persona: teacher\nX-Persona-Vars: subject=%zz", "invalid_header", "name=value"},
		{"s", "X-Persona-Vars: subject=a", "invalid_header", "X-Persona"},
		{"s", "X-Persona: pirate\nX-Memory-Mode: off", "invalid_header", "memory"},
		{"", "X-Persona: pirate", "invalid_header", "session"},
	} {
		headers := strings.Split(c.headers, "\n")
		if c.session != "" {
			headers = append(headers, "X-Session-ID: "+c.session)
		}
		got := r.do("POST", "/v1/chat/completions", user("x"), headers...)
		if got.status != 400 || gjson.Get(got.body, "error.code").String() != c.code || !strings.Contains(got.body, c.says) {
			t.Errorf("%q = %d %s", c.headers, got.status, got.body)
		}
	}
	if n := len(r.up.requests()); n != 0 {
		t.Errorf("%d bad requests went up", n)
	}
}

func TestPersona_changes_take_effect_and_a_lost_one_is_missed(t *testing.T) {
	r := newRig(t, withTeachers)
	r.chat("s", user("hi"), "X-Persona: pirate")
	r.apply(func(s *Settings) { s.Personas = []Persona{{Name: "pirate", Prompt: "Arr."}} })
	r.chat("s", user("hi"))
	if got := r.system(); !slices.Equal(got, []string{"Arr."}) {
		t.Errorf("after the change %q was sent", got)
	}
	r.apply(func(s *Settings) { s.Personas = nil })
	if got := r.chat("s", user("hi")); got.status != 400 || !strings.Contains(got.body, "unknown_persona") {
		t.Errorf("without the persona = %d %s", got.status, got.body)
	}
	if got := r.chat("s", user("hi"), "X-Persona: none"); got.status != 200 {
		t.Errorf("without a persona = %d %s", got.status, got.body)
	}
}

func TestPersona_that_lost_a_variable_serves_the_sessions_that_set_it(t *testing.T) {
	r := newRig(t, withTeachers)
	r.chat("s", user("hi"), "X-Persona: teacher", "X-Persona-Vars: subject=maths")
	r.apply(func(s *Settings) { s.Personas = []Persona{{Name: "teacher", Prompt: "You teach."}} })
	if got := r.chat("s", user("hi")); got.status != 200 || !slices.Equal(r.system(), []string{"You teach."}) {
		t.Errorf("answer = %d %s, instructions %q", got.status, got.body, r.system())
	}
}
