package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecode_reads_every_kind_of_setting(t *testing.T) {
	cfg := load(t, Sources{Environ: []string{"KEY=sk-a", "N=7"}, ReadFile: only(DefaultFile, `
listen: "localhost:0"
auth:
  mode: keys
  keys:
    - {name: app, tenant: shop, hash: "sha256:`+digits+`", models: ["gpt-*", o3]}
    - name: web
      hash: sha256:`+strings.ToUpper(digits[1:])+`0
memory: {low_water: 0.25, window: "${N}"}
upstreams:
  - name: openai
    url: https://api.openai.com/v1/
    keys: [{label: a, value: "${KEY}", weight: 2}, {value: sk-b}]
    headers: {X-Team: blue}
    timeouts: {total: 1h30m}
    capabilities: {stream_options: false}
  - {name: local, url: "http://127.0.0.1:11434/v1"}
routes:
  - {model: "llama*", to: [{upstream: local, model: llama3}, {upstream: openai}]}
limits: {body: 16MB, header: 8192}
log:
tls: ~
`)})
	u := cfg.Upstreams[0]
	if cfg.Listen != "localhost:0" || cfg.Memory.LowWater != 0.25 || cfg.Memory.Window != 7 || cfg.Limits.Body != 16e6 || cfg.Limits.Header != 8192 {
		t.Errorf("scalars: %+v", cfg)
	}
	if u.URL != "https://api.openai.com/v1" || u.Keys[0].Value.Reveal() != "sk-a" || u.Keys[0].Weight != 2 ||
		u.Keys[1].Label != "key-2" || u.Keys[1].Weight != 1 || u.Headers["X-Team"].Reveal() != "blue" {
		t.Errorf("upstream: %+v", u)
	}
	if u.Timeouts.Total != 90*time.Minute || u.Timeouts.Connect != 5*time.Second || u.Capabilities.StreamOptions {
		t.Errorf("upstream: %+v", u)
	}
	if l := cfg.Upstreams[1]; !l.Capabilities.StreamOptions || l.Timeouts.Headers != 5*time.Minute || len(l.Keys) != 0 {
		t.Errorf("second upstream: %+v", l)
	}
	if k := cfg.Auth.Keys; k[0].Tenant != "shop" || !slices.Equal(k[0].Models, []string{"gpt-*", "o3"}) || k[1].Tenant != "web" || k[1].Hash[31] != 0x80 {
		t.Errorf("client keys: %+v", k)
	}
	if r := cfg.Routes[0]; r.Model != "llama*" || r.To[0] != (Target{"local", "llama3"}) || r.To[1] != (Target{"openai", ""}) {
		t.Errorf("route: %+v", r)
	}
	if cfg.Log.Level != "info" || setting(t, cfg, "log.level").Origin != "default" {
		t.Errorf("null does not mean the default: %+v", cfg.Log)
	}
}

func TestDecode_reports_all_mistakes_with_their_place(t *testing.T) {
	got := mistakes(t, Sources{Environ: []string{"EMPTY="}, ReadFile: only(DefaultFile, `listn: 127.0.0.1:8080
budget: 100
colour: red
memory:
  budget: many
  budget: 5
  low_water: 1
  strategy: [trim]
drain: 30
limits: {body: big, depth: 5, sse_event: 99999999999GiB}
store:
  url: "${NOPE}"
  ttl: -1s
  load_timeout: ${bad name}
upstreams:
  - name: a
    url: http://h
    capabilities: {stream_options: "yes"}
    keys: sk-secret
  - just text
routes: {model: x}
log: &anchor {level: info}
retry: {attempts: 1.5, base: "${EMPTY}"}
`)})
	want := []string{
		`mnemo.yaml:1:1: listn: unknown setting (did you mean listen?)`,
		`mnemo.yaml:2:1: budget: unknown setting (did you mean budgets?)`,
		`mnemo.yaml:3:1: colour: unknown setting`,
		`mnemo.yaml:5:11: memory.budget: must be a whole number, not "many"`,
		`mnemo.yaml:7:14: memory.low_water: must be more than 0 and less than 1, not "1"`,
		`mnemo.yaml:8:13: memory.strategy: must be a single value`,
		`mnemo.yaml:9:8: drain: must be a duration such as 250ms, 30s or 5m, not "30"`,
		`mnemo.yaml:10:16: limits.body: must be a size such as 32MiB, 16MB or a number of bytes, not "big"`,
		`mnemo.yaml:10:28: limits.depth: must be at least 16 and at most 10000, not "5"`,
		`mnemo.yaml:10:42: limits.sse_event: must be a smaller size, not "99999999999GiB"`,
		`mnemo.yaml:12:8: store.url: environment variable NOPE is not set`,
		`mnemo.yaml:13:8: store.ttl: must be at least 0s, not "-1s"`,
		`mnemo.yaml:14:17: store.load_timeout: must hold references of the form ${NAME}; $${ stands for ${ itself`,
		`mnemo.yaml:18:36: upstreams[0].capabilities.stream_options: must be true or false, not "yes"`,
		`mnemo.yaml:19:11: upstreams[0].keys: must be a list`,
		`mnemo.yaml:20:5: upstreams[1]: must hold settings, each as name: value`,
		`mnemo.yaml:21:9: routes: must be a list`,
		`mnemo.yaml:22:6: log: anchors, aliases and tags are not supported`,
		`mnemo.yaml:23:19: retry.attempts: must be a whole number, not "1.5"`,
		`mnemo.yaml:23:30: retry.base: must be a duration such as 250ms, 30s or 5m, not "${EMPTY}"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDecode_reports_what_is_set_twice(t *testing.T) {
	got := mistakes(t, Sources{ReadFile: only(DefaultFile, "drain: 1s\nlog: {level: warn, level: info}\ndrain: 2s\n")})
	want := []string{
		"mnemo.yaml:2:20: log.level: is set twice, first in line 2",
		"mnemo.yaml:3:1: drain: is set twice, first in line 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestDecode_reports_broken_YAML_without_showing_the_file(t *testing.T) {
	for text, want := range map[string]string{
		"store: {url: sk-secret\nlog: x\n":    "mnemo.yaml:2:1: ',' or '}' must be specified",
		"a: \"sk-secret":                      "mnemo.yaml:1:4: could not find end character of double-quoted text",
		"\tlisten: x":                         "mnemo.yaml:1:7: tab character cannot use as a map key directly",
		"drain: 1s\n---\ndrain: 2s\n":         "mnemo.yaml:2:1: must hold one YAML document and no directives",
		"- drain: 1s":                         "mnemo.yaml:1:1: must hold settings, each as name: value",
		"sk-secret":                           "mnemo.yaml:1:1: must hold settings, each as name: value",
		"upstreams: []":                       "mnemo.yaml:1:1: upstreams: must list at least one upstream",
		"tls: {<<: {cert: c}, key: k}":        `mnemo.yaml:1:7: tls.<<: unknown setting`,
		"upstreams: [{name: a, url: !!str x}": "mnemo.yaml:1:12: sequence end token ']' not found",
	} {
		if got := mistakes(t, Sources{ReadFile: only(DefaultFile, text)}); got[0] != want {
			t.Errorf("%q gives\n%q, want\n%q", text, got, want)
		}
	}
}

func TestDecode_takes_an_empty_file(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "---\n", "~"} {
		cfg := load(t, Sources{ReadFile: only(DefaultFile, text)})
		if cfg.Listen != "127.0.0.1:8080" {
			t.Errorf("%q gives %+v", text, cfg)
		}
	}
}

func TestDecode_expands_references(t *testing.T) {
	environ := []string{"A=1", "B=${A}"}
	for text, want := range map[string]string{
		"${A}":      "1",
		"x${A}y$A":  "x1y$A",
		"$${A}":     "${A}",
		"${B}":      "${A}", // values are not expanded again
		"${A}${A}$": "11$",
	} {
		cfg := load(t, Sources{Environ: environ, ReadFile: only(DefaultFile, "tls: {cert: '"+text+"', key: k}")})
		if cfg.TLS.Cert != want {
			t.Errorf("%s gives %s, want %s", text, cfg.TLS.Cert, want)
		}
	}
	for _, text := range []string{"${}", "${", "${1A}", "${A", "${A-x}", "${A:-x}"} {
		got := mistakes(t, Sources{Environ: environ, ReadFile: only(DefaultFile, "tls: {cert: '"+text+"', key: k}")})
		if !strings.Contains(got[0], "of the form ${NAME}") {
			t.Errorf("%s gives %q", text, got)
		}
	}
}

func TestDecode_does_not_show_what_a_reference_stands_for(t *testing.T) {
	got := mistakes(t, Sources{
		Environ:  []string{"SECRET=hunter2"},
		ReadFile: only(DefaultFile, "memory: {budget: '${SECRET}'}\nlog: {level: '${SECRET}'}\nstore: {url: '${SECRET}'}\n"),
	})
	if len(got) != 3 || strings.Contains(strings.Join(got, ""), "hunter2") {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nupstreams:\n- name: a\n  keys: [{value: ${A}}]\n")
	f.Add("a: &x [*x]\n? b\n: |\n  c\n")
	f.Add("routes: [{model: x, to: [{}]}]\nauth: {keys: [{}, ~, []]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return
		}
		cfg, err := Load(Sources{Environ: []string{"A=1"}, ReadFile: only(DefaultFile, text)})
		if (cfg == nil) == (err == nil) {
			t.Fatalf("Load gives %v and %v", cfg, err)
		}
	})
}

const digits = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
