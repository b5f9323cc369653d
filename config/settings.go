package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Setting is one line of a listing of a configuration.
type Setting struct {
	Key    string // such as memory.budget or upstreams[0].url
	Value  string // *** for a secret
	Origin string // default, mnemo.yaml:12, MNEMO_LISTEN or --listen
}

// Settings lists every setting in the order of the file. A list or table without
// entries is one setting.
func (c *Config) Settings() []Setting {
	var list []Setting
	walk(reflect.ValueOf(c).Elem(), "", "", func(key string, f field) {
		list = append(list, Setting{key, f.String(), c.origins[key].String()})
	})
	return list
}

// Changes lists the settings that differ between two configurations, in order.
func (c *Config) Changes(next *Config) (keys []string) {
	before, after := map[string]field{}, map[string]field{}
	var order []string
	walk(reflect.ValueOf(c).Elem(), "", "", func(key string, f field) { before[key] = f; order = append(order, key) })
	walk(reflect.ValueOf(next).Elem(), "", "", func(key string, f field) {
		if _, known := before[key]; !known {
			order = append(order, key)
		}
		after[key] = f
	})
	for _, key := range order {
		old, had := before[key]
		now, has := after[key]
		if had != has || had && !reflect.DeepEqual(old.Interface(), now.Interface()) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Private

// fields finds every setting by its key.
func fields(c *Config) map[string]field {
	found := map[string]field{}
	walk(reflect.ValueOf(c).Elem(), "", "", func(key string, f field) { found[key] = f })
	return found
}

// walk visits the settings below v, in order.
func walk(v reflect.Value, key string, tag reflect.StructTag, visit func(string, field)) {
	switch {
	case scalar(v.Type()):
		visit(key, field{v, tag})
	case v.Kind() == reflect.Struct:
		for _, f := range settingsOf(v.Type()) {
			walk(v.FieldByIndex(f.Index), join(key, f.Tag.Get("yaml")), f.Tag, visit)
		}
	case v.Len() == 0:
		visit(key, field{v, tag})
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", key, i), tag, visit)
		}
	case v.Kind() == reflect.Map:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			walk(v.MapIndex(name), join(key, name.String()), tag, visit)
		}
	}
}

// settingsOf lists the settings of a struct, those of embedded structs included.
func settingsOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Tag.Get("yaml") == "" })
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// scalar reports whether values of the type are written as one scalar.
func scalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice && t.Kind() != reflect.Map
}
