package answercache

import (
	"slices"

	"github.com/tidwall/gjson"
)

// maxMembers bounds the members of an object that is put together.
const maxMembers = 128

// The forms in which a member is put together.
const (
	unsaid  form = iota // all that came was null
	literal             // raw is a JSON value; a later one replaces it
	text                // raw is the inside of a string, which goes on
	list                // raw is the inside of an array, which goes on
	nested              // object is one whose members go on
)

// Private

type form int

// An object is a JSON object that is put together from parts. Its members stand in
// the order in which they first came.
//
// Texts are joined as they stand in the JSON, escapes and all: a surrogate pair may
// be cut between two parts, and only the joined escapes make sense.
type object struct{ members []member }

type member struct {
	name   string
	form   form
	raw    []byte
	object *object
}

// merge adds a part, unless there are too many members.
func (o *object) merge(part gjson.Result) (ok bool) {
	ok = true
	part.ForEach(func(key, value gjson.Result) bool {
		ok = o.add(key.String(), value)
		return ok
	})
	return ok
}

// add goes on with one member. null says nothing of what there is.
func (o *object) add(name string, value gjson.Result) (ok bool) {
	m := o.member(name)
	if m == nil {
		return false
	}
	switch {
	case value.Type == gjson.Null:
	case once(name):
		if m.form == unsaid || string(m.raw) == `""` {
			m.form, m.raw = literal, []byte(value.Raw)
		}
	case value.Type == gjson.String:
		m.become(text)
		m.raw = append(m.raw, value.Raw[1:len(value.Raw)-1]...)
	case value.IsArray():
		m.become(list)
		if len(m.raw) > 0 && len(value.Raw) > len("[]") {
			m.raw = append(m.raw, ',')
		}
		m.raw = append(m.raw, value.Raw[1:len(value.Raw)-1]...)
	case value.IsObject():
		m.become(nested)
		return m.object.merge(value)
	default:
		m.become(literal)
		m.raw = append(m.raw[:0], value.Raw...)
	}
	return true
}

// set replaces a member. null says nothing of what there is.
func (o *object) set(name string, value gjson.Result) (ok bool) {
	m := o.member(name)
	if m == nil {
		return false
	}
	if value.Type != gjson.Null {
		m.become(literal)
		m.raw = append(m.raw[:0], value.Raw...)
	}
	return true
}

// says returns a member's value, or "" if nothing but null has come.
func (o *object) says(name string) string {
	for i := range o.members {
		if m := &o.members[i]; m.name == name && m.form != unsaid {
			return string(m.value(nil))
		}
	}
	return ""
}

// only appends the members of these names to out, which ends in an object.
func (o *object) only(out []byte, names ...string) []byte {
	for _, name := range names {
		for i := range o.members {
			if o.members[i].name == name {
				out = o.members[i].write(out)
			}
		}
	}
	return out
}

// but appends all members but those.
func (o *object) but(out []byte, names ...string) []byte {
	for i := range o.members {
		if !slices.Contains(names, o.members[i].name) {
			out = o.members[i].write(out)
		}
	}
	return out
}

// member finds a member or adds it; nil if there are too many.
func (o *object) member(name string) *member {
	for i := range o.members {
		if o.members[i].name == name {
			return &o.members[i]
		}
	}
	if len(o.members) == maxMembers {
		return nil
	}
	o.members = append(o.members, member{name: name})
	return &o.members[len(o.members)-1]
}

// become gives a member a form; if it had another, it begins anew.
func (m *member) become(f form) {
	if m.form == f {
		return
	}
	*m = member{name: m.name, form: f}
	if f == nested {
		m.object = &object{}
	}
}

func (m *member) write(out []byte) []byte { return m.value(named(out, m.name)) }

func (m *member) value(out []byte) []byte {
	switch m.form {
	case unsaid:
		return append(out, "null"...)
	case text:
		return append(append(append(out, '"'), m.raw...), '"')
	case list:
		return append(append(append(out, '['), m.raw...), ']')
	case nested:
		return append(m.object.but(append(out, '{')), '}')
	default:
		return append(out, m.raw...)
	}
}

// named appends the name of a member, and a comma before it unless an object begins.
func named(out []byte, name string) []byte {
	if len(out) == 0 || out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	return append(gjson.AppendJSONString(out, name), ':')
}

// once reports whether a member is no text that goes on: some upstreams repeat it.
func once(name string) bool {
	return name == "id" || name == "type" || name == "name" || name == "role" || name == "index"
}
