package proxy

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/apierror"
	"mnemo/proxy/manage"
)

// A Persona is a system prompt that calls name.
type Persona struct {
	Name     string
	Prompt   string            // {variables} in braces; {{ and }} stand for { and }
	Greeting string            // of a session that is created with it
	Vars     map[string]string // what variables stand for that a call leaves out
}

// Private

// A persona is one that was read: text and variables take turns, text first.
type persona struct {
	Persona
	texts     []string
	variables []string
}

// placeholder matches a variable, or braces that stand for themselves.
var placeholder = regexp.MustCompile(`\{\{|\}\}|\{[A-Za-z_][A-Za-z0-9_]*\}`)

func parsePersona(p Persona) *persona {
	out := &persona{Persona: p}
	var text strings.Builder
	last := 0
	for _, at := range placeholder.FindAllStringIndex(p.Prompt, -1) {
		text.WriteString(p.Prompt[last:at[0]])
		last = at[1]
		switch match := p.Prompt[at[0]:at[1]]; match {
		case "{{", "}}":
			text.WriteString(match[:1])
		default:
			out.texts = append(out.texts, text.String())
			out.variables = append(out.variables, match[1:len(match)-1])
			text.Reset()
		}
	}
	text.WriteString(p.Prompt[last:])
	out.texts = append(out.texts, text.String())
	return out
}

// readPersona reads X-Persona and X-Persona-Vars.
func (x *exchange) readPersona(w *memoryWish) error {
	name, named := x.header.own[headerPersona]
	vars, given := x.header.own[headerPersonaVars]
	if !named && !given {
		return nil
	}
	if !named {
		return apierror.BadRequest("invalid_header", headerPersonaVars, "%s needs %s beside it", headerPersonaVars, headerPersona)
	}
	wish := &memory.Persona{Name: name, Vars: map[string]string{}}
	values, err := url.ParseQuery(vars)
	if err != nil {
		return apierror.BadRequest("invalid_header", headerPersonaVars, "%s must look like name=value&other=value, with %%26 for & in a value", headerPersonaVars)
	}
	for key, all := range values {
		if len(all) > 1 {
			return apierror.BadRequest("invalid_header", headerPersonaVars, "%s sets %q more than once", headerPersonaVars, key)
		}
		wish.Vars[key] = all[0]
	}
	if err := x.set.checkPersona(wish); err != nil {
		return err
	}
	w.persona = wish
	return nil
}

// checkPersona returns what is wrong with a persona that a client names.
func (s *settings) checkPersona(wish *memory.Persona) error {
	if _, err := s.renderPersona(wish); err != nil || wish.Name == memory.NoPersona {
		return err
	}
	p := s.personas[wish.Name]
	for name := range wish.Vars {
		if p != nil && !slices.Contains(p.variables, name) {
			known := make(map[string]bool)
			for _, variable := range p.variables {
				known[variable] = true
			}
			return apierror.BadRequest("unknown_persona_variable", headerPersonaVars, "persona %s has no variable %q; %s", p.Name, name, choices("it has", known))
		}
	}
	return nil
}

// renderPersona is the text of a persona's system message; "" for none.
func (s *settings) renderPersona(wish *memory.Persona) (string, error) {
	set := s.personas
	if wish.Name == memory.NoPersona && len(wish.Vars) == 0 {
		return "", nil
	}
	p := set[wish.Name]
	if p == nil {
		return "", apierror.BadRequest("unknown_persona", headerPersona, "there is no persona %q; %s", wish.Name, choices("there is", set))
	}
	var text strings.Builder
	for i, name := range p.variables {
		value, ok := wish.Vars[name]
		if !ok {
			value, ok = p.Vars[name]
		}
		if !ok {
			return "", apierror.BadRequest("missing_persona_variable", headerPersonaVars, "persona %s needs the variable %s: send %s: %s=…", p.Name, name, headerPersonaVars, name)
		}
		text.WriteString(p.texts[i])
		text.WriteString(value)
	}
	text.WriteString(p.texts[len(p.texts)-1])
	return text.String(), nil
}

// takePersona puts the persona in force before the request's instructions.
func (r *recall) takePersona() error {
	wish := r.persona()
	r.request.incoming.Persona = nil
	if wish == nil {
		return nil
	}
	text, err := r.x.set.renderPersona(wish)
	if err != nil || text == "" {
		return err
	}
	raw := append([]byte(`{"role":"system","content":`), gjson.AppendJSONString(nil, text)...)
	r.request.incoming.Persona = []memory.Message{{Raw: string(append(raw, '}')), Role: memory.RoleSystem}}
	return nil
}

// persona is the one in force: that which the call names, or else the session's.
func (r *recall) persona() *memory.Persona {
	switch p := r.wish.persona; {
	case p == nil:
	case p.Name == memory.NoPersona:
		return nil
	default:
		return p
	}
	return memory.DecodePersona(r.branch.Session.Persona)
}

// choices names what there is to choose from.
func choices[V any](intro string, set map[string]V) string {
	if len(set) == 0 {
		return intro + " none"
	}
	return intro + " " + strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

// listPersonas is what the management API shows.
func (s *Server) listPersonas() []manage.Persona {
	set := s.now().personas
	list := make([]manage.Persona, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		p := set[name]
		shown := manage.Persona{Name: p.Name, Prompt: p.Prompt, Variables: []string{}}
		for _, variable := range p.variables {
			if _, optional := p.Vars[variable]; !optional && !slices.Contains(shown.Variables, variable) {
				shown.Variables = append(shown.Variables, variable)
			}
		}
		if p.Greeting != "" {
			shown.Greeting = &p.Greeting
		}
		list = append(list, shown)
	}
	return list
}
