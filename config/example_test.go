package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const example = "../config.example.yaml"

func TestExample_says_the_defaults(t *testing.T) {
	got := load(t, Sources{File: example, ReadFile: os.ReadFile})
	want := load(t, Sources{})
	if !reflect.DeepEqual(values(got), values(want)) {
		t.Errorf("the example has\n%v\nthe defaults are\n%v", values(got), values(want))
	}
}

// Commented-out settings begin with "#- " or "#  ", prose with "# ".
func TestExample_shows_every_setting_and_its_commented_settings_are_valid(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := strings.Cut(string(text), "\nlisten:")
	if !found {
		t.Fatal("the example does not begin with listen")
	}
	full := "listen:" + body
	full = regexp.MustCompile(`(?m)^( *)#(- |  )`).ReplaceAllString(full, "$1$2")
	full = regexp.MustCompile(`(?m)(\[\]|\{\})$`).ReplaceAllString(full, "")
	full = strings.Replace(full, "mode: passthrough", "mode: keys", 1)
	cfg := load(t, Sources{
		Environ: []string{"OPENAI_KEY_A=sk-a", "TEAM=blue"},
		ReadFile: func(path string) ([]byte, error) {
			if path == "openai-b.key" {
				return []byte("sk-b\n"), nil
			}
			return []byte(full), nil
		},
	})

	var shown []string
	for _, s := range cfg.Settings() {
		if strings.HasPrefix(s.Origin, DefaultFile+":") {
			shown = append(shown, regexp.MustCompile(`\[\d+\]`).ReplaceAllString(s.Key, "[]"))
		}
	}
	for _, name := range names(reflect.TypeFor[Config](), "") {
		switch name { // tables, whose keys are free
		case "upstreams[].headers":
			name += ".X-Team"
		case "upstreams[].prices":
			name += ".gpt-4o.output"
		case "personas":
			name += ".teacher.vars.language"
		}
		if !slices.Contains(shown, name) {
			t.Errorf("the example does not show %s", name)
		}
	}
}

func TestExample_names_every_variable_with_its_flag(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range Variables() {
		flag := v.Flag
		if flag != "" {
			flag = "--" + flag
		}
		if !regexp.MustCompile(`(?m)^# +` + v.Name + ` +` + flag).Match(text) {
			t.Errorf("the example does not name %s %s", v.Name, flag)
		}
	}
}

func load(t *testing.T, from Sources) *Config {
	t.Helper()
	cfg, err := Load(from)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return cfg
}

func values(c *Config) map[string]string {
	m := map[string]string{}
	for _, s := range c.Settings() {
		m[s.Key] = s.Value
	}
	return m
}
