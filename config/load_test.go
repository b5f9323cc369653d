package config

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestLoad_without_sources_gives_the_defaults(t *testing.T) {
	cfg := load(t, Sources{})
	if cfg.Listen != "127.0.0.1:8080" || cfg.Auth.Mode != AuthPassthrough || cfg.Store.URL.Reveal() != "sqlite:mnemo.db" ||
		cfg.Memory.Strategy != StrategyTrim || cfg.Upstreams[0].URL != "https://api.openai.com/v1" || cfg.Retry.Attempts != 2 {
		t.Errorf("got %+v", cfg)
	}
	for _, s := range cfg.Settings() {
		if s.Origin != "default" {
			t.Errorf("%s comes from %s", s.Key, s.Origin)
		}
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings %v", cfg.Warnings)
	}
}

func TestLoad_lays_flags_over_environment_over_file_over_defaults(t *testing.T) {
	cfg := load(t, Sources{
		ReadFile: only(DefaultFile, "listen: 127.0.0.1:1\nmemory:\n  budget: 1\n  window: 7\nlog: {level: warn}\n"),
		Environ:  []string{"MNEMO_LISTEN=127.0.0.1:2", "MNEMO_BUDGET=2", "MNEMO_RETRIES=0", "MNEMO_STRATEGY="},
		Flags:    map[string]string{"listen": "127.0.0.1:3", "strategy": "window"},
	})
	for key, want := range map[string]Setting{
		"listen":          {Value: "127.0.0.1:3", Origin: "--listen"},
		"memory.budget":   {Value: "2", Origin: "MNEMO_BUDGET"},
		"memory.window":   {Value: "7", Origin: "mnemo.yaml:4"},
		"memory.strategy": {Value: "window", Origin: "--strategy"},
		"log.level":       {Value: "warn", Origin: "mnemo.yaml:5"},
		"retry.attempts":  {Value: "0", Origin: "MNEMO_RETRIES"},
		"retry.base":      {Value: "200ms", Origin: "default"},
	} {
		if got := setting(t, cfg, key); got.Value != want.Value || got.Origin != want.Origin {
			t.Errorf("%s is %s from %s, want %s from %s", key, got.Value, got.Origin, want.Value, want.Origin)
		}
	}
}

func TestLoad_takes_every_variable_and_every_flag(t *testing.T) {
	given := map[string]string{
		"listen": "127.0.0.1:9", "upstreams[0].url": "http://localhost:1/v1", "upstreams[0].keys": "sk-1",
		"store.url": "redis://localhost", "auth.mode": "none", "memory.strategy": "trim", "memory.budget": "5",
		"retry.attempts": "1", "log.format": "json", "log.level": "debug",
	}
	for _, v := range Variables() {
		cfg := load(t, Sources{Environ: []string{v.Name + "=" + given[v.Key]}})
		if got := cfg.origins[v.Key].String(); got != v.Name {
			t.Errorf("%s comes from %s, want %s", v.Key, got, v.Name)
		}
		if v.Flag == "" {
			continue
		}
		cfg = load(t, Sources{Flags: map[string]string{v.Flag: given[v.Key]}})
		if got := setting(t, cfg, v.Key); got.Origin != "--"+v.Flag || got.Value != given[v.Key] {
			t.Errorf("%s is %s from %s", v.Key, got.Value, got.Origin)
		}
	}
}

func TestLoad_chooses_the_file_by_flag_then_variable_then_name(t *testing.T) {
	read := func(path string) ([]byte, error) { return []byte("tls: {cert: " + path + ", key: k}"), nil }
	for want, from := range map[string]Sources{
		"mnemo.yaml": {},
		"env.yaml":   {Environ: []string{"MNEMO_CONFIG=env.yaml"}},
		"flag.yaml":  {Environ: []string{"MNEMO_CONFIG=env.yaml"}, File: "flag.yaml"},
	} {
		from.ReadFile = read
		if got := load(t, from).TLS.Cert; got != want {
			t.Errorf("read %s, want %s", got, want)
		}
	}
}

func TestLoad_wants_the_file_that_was_named(t *testing.T) {
	for want, from := range map[string]Sources{
		"--config: open absent.yaml: file does not exist":     {File: "absent.yaml"},
		"MNEMO_CONFIG: open absent.yaml: file does not exist": {Environ: []string{"MNEMO_CONFIG=absent.yaml"}},
	} {
		if got := mistakes(t, from); !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	denied := func(string) ([]byte, error) { return nil, fs.ErrPermission }
	if got := mistakes(t, Sources{ReadFile: denied}); len(got) != 1 || !strings.Contains(got[0], "permission denied") {
		t.Errorf("an unreadable %s gives %q", DefaultFile, got)
	}
}

func TestLoad_refuses_a_huge_file(t *testing.T) {
	got := mistakes(t, Sources{ReadFile: only(DefaultFile, strings.Repeat("#", maxFile+1))})
	if !slices.Equal(got, []string{"mnemo.yaml: is larger than 1MiB"}) {
		t.Errorf("got %q", got)
	}
}

func TestLoad_makes_a_pool_of_the_keys_in_the_environment(t *testing.T) {
	cfg := load(t, Sources{Environ: []string{"MNEMO_UPSTREAM_KEYS=sk-1, sk-2", "OPENAI_API_KEYS=sk-other"}})
	pool := cfg.Upstreams[0].Keys
	if len(pool) != 2 || pool[0].Value.Reveal() != "sk-1" || pool[1].Value.Reveal() != "sk-2" ||
		pool[0].Label != "key-1" || pool[1].Label != "key-2" || pool[1].Weight != 1 {
		t.Errorf("pool %v", pool)
	}
	if cfg.Auth.Mode != AuthNone {
		t.Errorf("auth.mode is %s, want none on loopback with upstream keys", cfg.Auth.Mode)
	}
	if got := setting(t, cfg, "upstreams[0].keys[1].value"); got.Value != "***" || got.Origin != "MNEMO_UPSTREAM_KEYS" {
		t.Errorf("listed as %+v", got)
	}
}

func TestLoad_replaces_the_pool_of_the_file_by_that_of_the_environment(t *testing.T) {
	file := only(DefaultFile, "upstreams: [{name: a, url: http://h, keys: [{label: x, value: sk-f, weight: 5}, {value: sk-g}]}]")
	cfg := load(t, Sources{ReadFile: file, Environ: []string{"MNEMO_UPSTREAM_KEYS=sk-1"}})
	if pool := cfg.Upstreams[0].Keys; len(pool) != 1 || pool[0].Label != "key-1" || pool[0].Weight != 1 {
		t.Errorf("pool %v", pool)
	}
	if got := setting(t, cfg, "upstreams[0].keys[0].weight"); got.Origin != "default" {
		t.Errorf("the weight comes from %s", got.Origin)
	}
}

func TestLoad_gives_OPENAI_API_KEYS_to_the_built_in_upstream_only(t *testing.T) {
	environ := []string{"OPENAI_API_KEYS=sk-1"}
	if pool := load(t, Sources{Environ: environ}).Upstreams[0].Keys; len(pool) != 1 || pool[0].Value.Reveal() != "sk-1" {
		t.Errorf("pool %v", pool)
	}
	file := only(DefaultFile, "upstreams: [{name: a, url: http://h}]")
	cfg := load(t, Sources{Environ: environ, ReadFile: file})
	if len(cfg.Upstreams[0].Keys) != 0 || len(cfg.Warnings) != 1 || !strings.HasPrefix(cfg.Warnings[0], "OPENAI_API_KEYS is not used") {
		t.Errorf("pool %v, warnings %q", cfg.Upstreams[0].Keys, cfg.Warnings)
	}
}

func TestLoad_reports_bad_keys_in_the_environment_without_showing_them(t *testing.T) {
	got := mistakes(t, Sources{Environ: []string{"MNEMO_UPSTREAM_KEYS=sk-1,,sk 2,sk-1"}})
	if len(got) != 3 {
		t.Fatalf("got %q", got)
	}
	for _, m := range got {
		if !strings.HasPrefix(m, "MNEMO_UPSTREAM_KEYS: upstreams[0].keys[") || strings.Contains(m, "sk") {
			t.Errorf("got %q", m)
		}
	}
}

func TestLoad_names_the_variable_or_flag_with_a_bad_value(t *testing.T) {
	got := mistakes(t, Sources{
		Environ: []string{"MNEMO_BUDGET=lots", "MNEMO_STRATEGY=trin", "MNEMO_LISTEN=here", "MNEMO_STORE=mysql://root:hunter2@db", "MNEMO_RETRIES=11"},
		Flags:   map[string]string{"auth": "key", "log": "", "upstream": "api.openai.com"},
	})
	want := []string{
		`MNEMO_STORE: store.url: must begin with sqlite:, redis://, rediss:// or postgres://`,
		`MNEMO_STRATEGY: memory.strategy: must be trim, window or summarize, not "trin" (did you mean trim?)`,
		`MNEMO_BUDGET: memory.budget: must be a whole number, not "lots"`,
		`MNEMO_RETRIES: retry.attempts: must be at least 0 and at most 10, not "11"`,
		`--auth: auth.mode: must be passthrough, keys or none, not "key" (did you mean keys?)`,
		`--log: log.format: must be text or json, not ""`,
		`MNEMO_LISTEN: listen: must be host:port, such as 127.0.0.1:8080 or :8080`,
		`--upstream: upstreams[0].url: must be an absolute http or https URL, such as https://api.openai.com/v1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLoad_warns_of_variables_that_it_does_not_know(t *testing.T) {
	cfg := load(t, Sources{
		ReadFile: only(DefaultFile, "tls: {cert: '${MNEMO_MINE}', key: k}"),
		Environ:  []string{"MNEMO_STOER=sqlite:x", "MNEMO_MINE=c", "MNEMO_COLOUR=red", "HOME=/", "malformed"},
	})
	want := []string{"MNEMO_COLOUR is no variable of mnemo's", "MNEMO_STOER is no variable of mnemo's (did you mean MNEMO_STORE?)"}
	if !slices.Equal(cfg.Warnings, want) {
		t.Errorf("warnings %q, want %q", cfg.Warnings, want)
	}
}

func TestLoad_joins_its_mistakes_so_that_each_can_be_had(t *testing.T) {
	_, err := Load(Sources{File: "f.yaml", ReadFile: only("f.yaml", "listen: 127.0.0.1:1\nlogs: {}\n")})
	m, ok := errors.AsType[*Mistake](err)
	if !ok || m.Name != "f.yaml" || m.Line != 2 || m.Column != 1 || m.Key != "logs" || m.Message != "unknown setting (did you mean log?)" {
		t.Errorf("got %#v", m)
	}
}

// only is a file system of one file.
func only(path, text string) func(string) ([]byte, error) {
	return func(p string) ([]byte, error) {
		if p != path {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

func setting(t *testing.T, cfg *Config, key string) Setting {
	t.Helper()
	for _, s := range cfg.Settings() {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("no setting %s", key)
	return Setting{}
}

// mistakes loads what must not load.
func mistakes(t *testing.T, from Sources) []string {
	t.Helper()
	cfg, err := Load(from)
	if err == nil {
		t.Fatalf("loaded %v", cfg.Settings())
	}
	return strings.Split(err.Error(), "\n")
}

func TestLoad_leaves_the_variables_of_other_commands_alone(t *testing.T) {
	cfg := load(t, Sources{Environ: []string{"MNEMO_SERVER=http://h", "MNEMO_KEY=secret"}})
	if len(cfg.Warnings) != 0 {
		t.Errorf("warnings %q", cfg.Warnings)
	}
}
