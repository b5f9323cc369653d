package config

import (
	"reflect"
	"slices"
	"testing"
)

func TestSettings_follow_the_order_of_the_file_and_index_lists(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, "upstreams: [{name: b, url: http://h, headers: {Z: z, A: a}}, {name: a, url: http://i}]")})
	var keys []string
	for _, s := range cfg.Settings() {
		keys = append(keys, s.Key)
	}
	for _, key := range []string{
		"listen", "tls.cert", "auth.mode", "auth.keys", "store.url", "upstreams[0].name", "upstreams[0].keys",
		"upstreams[0].headers.A", "upstreams[0].headers.Z", "upstreams[1].name", "upstreams[1].headers", "routes", "log.level",
	} {
		at := slices.Index(keys, key)
		if at < 0 {
			t.Fatalf("%s is not listed in %q", key, keys)
		}
		keys = keys[at+1:]
	}
	if got := setting(t, cfg, "auth.keys").Value + setting(t, cfg, "upstreams[1].headers").Value; got != "[]{}" {
		t.Errorf("what is empty is shown as %s", got)
	}
}

func TestSettings_show_values_that_load_again(t *testing.T) {
	cfg := load(t, Sources{})
	for key, f := range fields(cfg) {
		if !scalar(f.Type()) || key == "auth.mode" {
			continue
		}
		before := f.Interface()
		if err := f.set(f.String(), ""); err != nil || !reflect.DeepEqual(f.Interface(), before) {
			t.Errorf("%s: %s is read as %v, %v", key, f, f.Interface(), err)
		}
	}
}

func TestChanges_names_what_differs(t *testing.T) {
	read := func(text string) *Config {
		return load(t, Sources{ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
	}
	a := read("memory: {budget: 100}\nupstreams: [{name: a, url: http://h, keys: [{value: secret-1}]}]\npersonas: {p: {prompt: x}}")
	b := read("memory: {budget: 100}\nupstreams: [{name: a, url: http://h, keys: [{value: secret-2}]}]\npersonas: {q: {prompt: x}}\nlisten: 127.0.0.1:1")
	want := []string{"listen", "personas.p.prompt", "personas.p.greeting", "personas.p.vars", "upstreams[0].keys[0].value",
		"personas.q.prompt", "personas.q.greeting", "personas.q.vars"}
	if got := a.Changes(b); !slices.Equal(got, want) {
		t.Errorf("changed: %q, want %q", got, want)
	}
	if got := a.Changes(a); len(got) != 0 {
		t.Errorf("changed though it is the same: %q", got)
	}
}
