package config

import (
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

// Private

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
