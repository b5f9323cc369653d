package memory

import (
	"maps"
	"slices"

	"github.com/tidwall/gjson"
)

// NoPersona is the name by which a session loses its persona.
const NoPersona = "none"

// A Persona names a system prompt that the configuration holds, with what its
// variables stand for. A session keeps the one that was named last, encoded.
type Persona struct {
	Name string
	Vars map[string]string
}

// Encode is the form in which a session keeps a persona: a JSON object.
func (p *Persona) Encode() string {
	b := append([]byte(`{"name":`), gjson.AppendJSONString(nil, p.Name)...)
	b = append(b, `,"vars":{`...)
	for i, name := range slices.Sorted(maps.Keys(p.Vars)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(gjson.AppendJSONString(b, name), ':')
		b = gjson.AppendJSONString(b, p.Vars[name])
	}
	return string(append(b, "}}"...))
}

// DecodePersona reads what Encode wrote; nil if the session has no persona.
func DecodePersona(stored string) *Persona {
	name := gjson.Get(stored, "name").String()
	if name == "" || name == NoPersona {
		return nil
	}
	p := &Persona{Name: name, Vars: map[string]string{}}
	gjson.Get(stored, "vars").ForEach(func(key, value gjson.Result) bool {
		p.Vars[key.String()] = value.String()
		return true
	})
	return p
}
