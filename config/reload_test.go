package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
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
