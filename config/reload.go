package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Restart returns those of the settings, named as Changes names them, that take
// effect only when mnemo is started again.
func (*Config) Restart(keys []string) []string {
	fixed := restarts(reflect.TypeFor[Config](), "")
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return !slices.ContainsFunc(fixed, func(parent string) bool { return below(key, parent) })
	})
}

// After returns the configuration that is in force when c takes the place of before in a
// process that goes on: it is c, but what takes effect only at a start is as it was. An
// error means that the two do not go together.
func (c *Config) After(before *Config) (*Config, error) {
	next := *c
	retain(reflect.ValueOf(&next).Elem(), reflect.ValueOf(before).Elem())
	if next.open() {
		return nil, fmt.Errorf("auth.mode: nothing says who may call, and %s, which can be reached from other machines, is left only at a restart", next.Listen)
	}
	return &next, nil
}

// Private

// retain sets what takes effect only at a start to what it was.
func retain(next, before reflect.Value) {
	for _, s := range settingsOf(next.Type()) {
		switch to, from := next.FieldByIndex(s.Index), before.FieldByIndex(s.Index); {
		case s.Tag.Get("reload") == "restart":
			to.Set(from)
		case s.Type.Kind() == reflect.Struct && !scalar(s.Type):
			retain(to, from)
		}
	}
}

// restarts lists the settings whose fields are tagged reload:"restart".
func restarts(t reflect.Type, key string) (keys []string) {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, s := range settingsOf(t) {
		at := join(key, s.Tag.Get("yaml"))
		if s.Tag.Get("reload") == "restart" {
			keys = append(keys, at)
		} else {
			keys = slices.Concat(keys, restarts(s.Type, at))
		}
	}
	return keys
}

// below reports whether a setting is the parent itself or within it.
func below(key, parent string) bool {
	rest, found := strings.CutPrefix(key, parent)
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
