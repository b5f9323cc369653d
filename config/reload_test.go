package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRestart_names_what_does_not_take_effect_at_once(t *testing.T) {
	for key, restart := range map[string]bool{
		"listen": true, "tls.cert": true, "store.url": true, "store.ttl": true, "store.queue.turns": true, "limits.header": true, "log.format": true,
		"drain": false, "auth.mode": false, "auth.keys[0].hash": false, "store.load_timeout": false, "limits.body": false, "log.level": true, "breaker.share": true, "breaker.open": false, "budgets[0].limit": false,
		"upstreams[0].keys[0].value": false, "personas.listen.prompt": false, "routes": false, "listening": false,
	} {
		if got := new(Config).Restart([]string{"drain", key}); slices.Contains(got, key) != restart || slices.Contains(got, "drain") {
			t.Errorf("%s: %q", key, got)
		}
	}
}

func TestRestart_is_what_the_page_says(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	sentence := regexp.MustCompile("(?s)\n\n(`listen`[^.]*(?:\\.[a-z][^.]*)*) take a restart").FindSubmatch(text)
	if sentence == nil {
		t.Fatal("the page does not say what takes a restart")
	}
	var said []string
	for _, name := range regexp.MustCompile("`([^`]+)`").FindAllSubmatch(sentence[1], -1) {
		said = append(said, string(name[1]))
	}
	if want := restarts(reflect.TypeFor[Config](), ""); !slices.Equal(said, want) {
		t.Errorf("the page says %q, want %q", said, want)
	}
}

func TestRestart_leaves_its_argument_alone(t *testing.T) {
	keys := []string{"drain", "listen"}
	if got := new(Config).Restart(keys); !slices.Equal(got, []string{"listen"}) || !slices.Equal(keys, []string{"drain", "listen"}) {
		t.Errorf("got %q of %q", got, keys)
	}
}

// A tag with a slip of the pen would be a setting that changes at once.
func TestRestart_tags_have_one_value(t *testing.T) {
	var check func(reflect.Type, string)
	check = func(of reflect.Type, key string) {
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for _, s := range settingsOf(of) {
			at := join(key, s.Tag.Get("yaml"))
			if tag, found := s.Tag.Lookup("reload"); found && tag != "restart" {
				t.Errorf("%s has the tag %q", at, tag)
			}
			check(s.Type, at)
		}
	}
	check(reflect.TypeFor[Config](), "")
}

func TestAfter_is_the_next_configuration_but_for_what_takes_a_restart(t *testing.T) {
	set := func(seed int) *Config {
		c := new(Config)
		for _, key := range slices.Sorted(maps.Keys(fields(c))) {
			if v := fields(c)[key].Value; v.CanInt() {
				v.SetInt(int64(seed))
			}
		}
		c.Listen, c.Store.OnError, c.Log.Level, c.TLS, c.Auth.Mode = "127.0.0.1:1", OnErrorOpen, "info", TLS{"a", "b"}, AuthNone
		c.Personas, c.Upstreams = map[string]Persona{fmt.Sprint(seed): {}}, []Upstream{{Name: fmt.Sprint(seed)}}
		return c
	}
	before, next := set(1), set(2)
	next.Listen, next.Store.OnError, next.Log.Level, next.TLS, next.Auth.Mode = "127.0.0.1:2", OnErrorClosed, "debug", TLS{}, AuthKeys
	got, err := next.After(before)
	if err != nil {
		t.Fatal(err)
	}
	if pending := got.Changes(next); len(pending) < 15 || !slices.Equal(pending, next.Restart(pending)) {
		t.Errorf("of the next one it lacks %q", pending)
	}
	if changed := before.Changes(got); len(changed) < 15 || len(got.Restart(changed)) > 0 {
		t.Errorf("of the one before it changes %q", changed)
	}
	if next.Listen != "127.0.0.1:2" || next.TLS != (TLS{}) {
		t.Error("the next one is not left alone")
	}
}

// The address that the file names is not yet the one that others can reach.
func TestAfter_does_not_let_in_whom_nobody_let_in(t *testing.T) {
	keyed := "auth: {keys: [{name: app, hash: \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}]}\n"
	load := func(text string) *Config {
		t.Helper()
		c, err := Load(Sources{File: "mnemo.yaml", ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	everywhere := load("listen: 0.0.0.0:80\n" + keyed)
	if got, err := load("listen: 127.0.0.1:80\n").After(everywhere); err == nil || !strings.Contains(err.Error(), "0.0.0.0:80") {
		t.Errorf("it is %+v, %v", got, err)
	}
	for _, text := range []string{"listen: 127.0.0.1:80\n" + keyed, "listen: 127.0.0.1:80\nauth: {mode: none}\n"} {
		if got, err := load(text).After(everywhere); err != nil || got.Loopback() {
			t.Errorf("%s: %v", text, err)
		}
	}
}
