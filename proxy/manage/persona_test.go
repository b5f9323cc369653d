package manage

import (
	"net/http"
	"testing"
)

func TestPersonas_are_listed(t *testing.T) {
	greeting := "Hello!"
	r := newRig(t, func(o *Options) {
		o.Personas = func() []Persona {
			return []Persona{{Name: "teacher", Prompt: "Answer in {language}.", Variables: []string{"language"}, Greeting: &greeting}, {Name: "plain", Prompt: "Be.", Variables: []string{}}}
		}
	})
	var list PersonaList
	r.want(http.StatusOK, http.MethodGet, "/api/personas", "", &list)
	if len(list.Personas) != 2 || list.Personas[0].Name != "teacher" || *list.Personas[0].Greeting != greeting || list.Personas[1].Greeting != nil {
		t.Errorf("%+v", list)
	}
	newRig(t, nil).want(http.StatusOK, http.MethodGet, "/api/personas", "", &list)
	if len(list.Personas) != 0 {
		t.Errorf("%+v", list)
	}
}
