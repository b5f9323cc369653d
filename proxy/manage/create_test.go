package manage

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

func personas() []Persona {
	greeting := "Guten Tag!"
	return []Persona{
		{Name: "teacher", Prompt: "Answer in {language}.", Variables: []string{"language"}, Greeting: &greeting},
		{Name: "plain", Prompt: "Be.", Variables: []string{}},
	}
}

func TestCreate_gives_a_random_id_and_an_empty_session(t *testing.T) {
	r := newRig(t, nil)
	seen := map[string]bool{}
	for _, body := range []string{"", "{}", " \n"} {
		var c Created
		a := r.want(http.StatusCreated, http.MethodPost, "/api/sessions", body, &c)
		if len(c.ID) < 20 || seen[c.ID] || c.Greeting != nil {
			t.Errorf("%s", a.body)
		}
		seen[c.ID] = true
		var s SessionDetail
		r.want(http.StatusOK, http.MethodGet, a.header.Get("Location"), "", &s)
		if s.ID != c.ID || s.Turns != 0 || string(s.System) != "[]" || s.Persona != nil {
			t.Errorf("%+v", s)
		}
	}
}

func TestCreate_makes_the_greeting_the_first_turn(t *testing.T) {
	r := newRig(t, nil)
	var c Created
	a := r.want(http.StatusCreated, http.MethodPost, "/api/sessions", `{"id":"a/b","title":"  Nach\nKyoto ","greeting":"Hello \"you\" 👋"}`, &c)
	if c.ID != "a/b" || *c.Greeting != `Hello "you" 👋` || a.header.Get("Location") != "/api/sessions/a%2Fb" {
		t.Errorf("%s at %s", a.body, a.header.Get("Location"))
	}
	var s SessionDetail
	r.want(http.StatusOK, http.MethodGet, a.header.Get("Location"), "", &s)
	if s.Title != "Nach Kyoto" || s.Turns != 1 || s.Groups != 0 || s.Cost.UnpricedTurns != 0 || *s.Cost.USD != "0" {
		t.Errorf("%+v", s)
	}
	var page TurnList
	r.want(http.StatusOK, http.MethodGet, a.header.Get("Location")+"/messages", "", &page)
	if got := string(page.Turns[0].Messages[0]); got != `{"role":"assistant","content":"Hello \"you\" 👋"}` {
		t.Errorf("%s", got)
	}
	r.refused(http.StatusConflict, "session_exists", http.MethodPost, "/api/sessions", `{"id":"a/b"}`)
	r.as(bobs).want(http.StatusCreated, http.MethodPost, "/api/sessions", `{"id":"a/b"}`, nil)
}

func TestCreate_takes_the_title_of_the_first_question_if_it_has_none(t *testing.T) {
	r := newRig(t, nil)
	r.want(http.StatusCreated, http.MethodPost, "/api/sessions", `{"id":"trip","greeting":"Hello!"}`, nil)
	var s SessionDetail
	if r.want(http.StatusOK, http.MethodGet, r.told("ada", "trip", hello("Where to?")), "", &s); s.Title != "Where to?" || s.Turns != 2 {
		t.Errorf("%+v", s)
	}
}

func TestCreate_keeps_instructions(t *testing.T) {
	r := newRig(t, nil)
	for body, want := range map[string]string{
		`{"system":"Be \"brief\"\n\ud83d"}`: `[{"role":"system","content":"Be \"brief\"\n\ud83d"}]`,
		`{"system":[{"role":"developer","n":1E+2,"content":"x"},{"role":"system","content":[]}]}`: `[{"role":"developer","n":1E+2,"content":"x"},{"role":"system","content":[]}]`,
		`{"system":""}`: "[]", `{"system":[]}`: "[]", `{"system":null}`: "[]",
	} {
		var s SessionDetail
		a := r.want(http.StatusCreated, http.MethodPost, "/api/sessions", body, nil)
		if r.want(http.StatusOK, http.MethodGet, a.header.Get("Location"), "", &s); string(s.System) != want {
			t.Errorf("%s: %s", body, s.System)
		}
	}
}

func TestCreate_keeps_a_persona_and_says_its_greeting(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Personas = personas })
	for body, want := range map[string]string{
		`{"id":"1","persona":"teacher","vars":{"language":"日本語"}}`:                  "Guten Tag!",
		`{"id":"2","persona":"teacher","vars":{"language":"日本語"},"greeting":"Hi!"}`: "Hi!",
		`{"id":"3","persona":"teacher","vars":{"language":"日本語"},"greeting":""}`:    "",
	} {
		var c Created
		var s SessionDetail
		a := r.want(http.StatusCreated, http.MethodPost, "/api/sessions", body, &c)
		if c.Greeting == nil && want != "" || c.Greeting != nil && *c.Greeting != want {
			t.Errorf("%s: %s", body, a.body)
		}
		if r.want(http.StatusOK, http.MethodGet, a.header.Get("Location"), "", &s); *s.Persona != "teacher" || s.Vars["language"] != "日本語" {
			t.Errorf("%s: %+v", body, s)
		}
	}
	session, err := r.store.Load(context.Background(), memory.Key{Tenant: "ada", Session: "1"}, memory.Need{})
	if p := memory.DecodePersona(session.Persona); err != nil || p.Name != "teacher" || p.Vars["language"] != "日本語" {
		t.Errorf("%q, %v", session.Persona, err)
	}
}

func TestCreate_refuses_what_cannot_be(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Personas = personas })
	for body, code := range map[string]string{
		`{`: "invalid_json", `[]`: "invalid_json", `{} {}`: "invalid_json", `{"titel":"x"}`: "invalid_json", `{"title":1}`: "invalid_json",
		`{"id":"a b"}`: "invalid_session_id", `{"id":"é"}`: "invalid_session_id",
		`{"system":1}`: "invalid_parameter", `{"system":[{"role":"user"}]}`: "invalid_parameter", `{"system":[1]}`: "invalid_parameter",
		`{"persona":"nobody"}`: "unknown_persona", `{"persona":"teacher"}`: "missing_persona_variable", `{"vars":{"a":"b"}}`: "invalid_parameter",
	} {
		r.refused(http.StatusBadRequest, code, http.MethodPost, "/api/sessions", body)
	}
	r.refused(http.StatusRequestEntityTooLarge, "body_too_large", http.MethodPost, "/api/sessions", `{"title":"`+strings.Repeat("x", maxBody)+`"}`)
	newRig(t, nil).refused(http.StatusBadRequest, "unknown_persona", http.MethodPost, "/api/sessions", `{"persona":"teacher"}`)
	strict := newRig(t, func(o *Options) {
		o.Personas = personas
		o.CheckPersona = func(*memory.Persona) error { return apierror.BadRequest("not_that_one", "persona", "no") }
	})
	strict.refused(http.StatusBadRequest, "not_that_one", http.MethodPost, "/api/sessions", `{"persona":"plain"}`)
}

func TestCreate_is_for_another_tenant_if_an_admin_says_so(t *testing.T) {
	r := newRig(t, nil)
	a := r.as(root).want(http.StatusCreated, http.MethodPost, "/api/sessions?tenant=ada", `{"id":"trip"}`, nil)
	if a.header.Get("Location") != "/api/sessions/trip?tenant=ada" {
		t.Errorf("Location %q", a.header.Get("Location"))
	}
	r.want(http.StatusOK, http.MethodGet, "/api/sessions/trip", "", nil)
}
