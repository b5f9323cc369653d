package manage

import (
	"net/http"
	"slices"
	"strings"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

// A Persona is a named system prompt of the configuration.
type Persona struct {
	Name      string   `json:"name"`
	Prompt    string   `json:"prompt"`    // variables stand in braces
	Variables []string `json:"variables"` // each must be given a value
	Greeting  *string  `json:"greeting"`  // what it says first in a new session; nil: nothing
}

// A PersonaList is all personas.
type PersonaList struct {
	Personas []Persona `json:"personas"`
}

// Private

func (a *api) personas(r *request) error {
	list := PersonaList{Personas: []Persona{}}
	if a.Personas != nil {
		list.Personas = append(list.Personas, a.Personas()...)
	}
	return r.answer(http.StatusOK, list)
}

// checkPersona says whether one of the known personas can be had so.
func checkPersona(known []Persona, p *memory.Persona) error {
	at := slices.IndexFunc(known, named(p.Name))
	if at < 0 {
		names := make([]string, len(known))
		for i := range known {
			names[i] = known[i].Name
		}
		if len(names) == 0 {
			names = []string{"none"}
		}
		return apierror.BadRequest("unknown_persona", "persona", "there is no persona %q; there is %s", p.Name, strings.Join(names, ", "))
	}
	for _, variable := range known[at].Variables {
		if _, given := p.Vars[variable]; !given {
			return apierror.BadRequest("missing_persona_variable", "vars", "persona %s needs the variable %s", p.Name, variable)
		}
	}
	return nil
}

func named(name string) func(Persona) bool {
	return func(p Persona) bool { return p.Name == name }
}
