package memory

import (
	"reflect"
	"testing"
)

func TestPersona_comes_back_as_it_was_encoded(t *testing.T) {
	for _, p := range []Persona{
		{Name: "teacher", Vars: map[string]string{}},
		{Name: "teacher", Vars: map[string]string{"language": "日本語 \"quoted\"\n", "b": "", "a": "&=%"}},
	} {
		if got := DecodePersona(p.Encode()); !reflect.DeepEqual(got, &p) {
			t.Errorf("%s gives %+v, want %+v", p.Encode(), got, p)
		}
	}
	none := Persona{Name: NoPersona}
	for _, stored := range []string{"", "{}", "[]", none.Encode()} {
		if got := DecodePersona(stored); got != nil {
			t.Errorf("%q gives %+v, want none", stored, got)
		}
	}
}
