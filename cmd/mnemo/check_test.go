package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCheck_lists_every_value_with_its_origin_and_hides_secrets(t *testing.T) {
	file(t, "mnemo.yaml", "store:\n  url: rediss://u:hunter2@cache:6380/0\nupstreams:\n- name: openai\n  url: https://api.openai.com/v1\n  keys:\n  - {label: a, value: '${KEY}'}\n")
	code, out, errs := start(t, []string{"KEY=hunter2", "MNEMO_BUDGET=4000"}, "check", "--log", "json")
	if code != exitOK || errs != "" {
		t.Fatalf("exits with %d, says %s", code, errs)
	}
	for _, want := range [][]string{
		{"SETTING", "VALUE", "FROM"},
		{"listen", "127.0.0.1:8080", "default"},
		{"tls.cert", `""`, "default"},
		{"auth.mode", "none", "default"},
		{"store.url", "rediss://***@cache:6380/0", "mnemo.yaml:2"},
		{"memory.budget", "4000", "MNEMO_BUDGET"},
		{"upstreams[0].keys[0].label", "a", "mnemo.yaml:7"},
		{"upstreams[0].keys[0].value", "***", "mnemo.yaml:7"},
		{"log.format", "json", "--log"},
	} {
		if got := row(out, want[0]); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if strings.Contains(out, "hunter2") {
		t.Errorf("a secret is shown in\n%s", out)
	}
}

func TestCheck_says_what_the_configuration_means(t *testing.T) {
	const hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for _, c := range []struct {
		file    string
		environ []string
		want    string
	}{
		{"", nil, `
mnemo listens on http://127.0.0.1:8080, which can be reached from this machine only.
Clients call with their own upstream key, which is passed on; each key has its own sessions.
Sessions live in sqlite:mnemo.db, for ever; prompts are trimmed to 8000 tokens.
Upstream default, the default, is https://api.openai.com/v1, called with the client's own key.
`}, {"", []string{"OPENAI_API_KEYS=sk-1,sk-2", "MNEMO_BUDGET=0"}, `
mnemo listens on http://127.0.0.1:8080, which can be reached from this machine only.
Anybody who reaches it may call, and all share one tenant.
Sessions live in sqlite:mnemo.db, for ever; prompts are trimmed to the model's window.
Upstream default, the default, is https://api.openai.com/v1, called with 2 keys.
`}, {`listen: :8443
tls: {cert: c, key: k}
auth: {keys: [{name: app, hash: "` + hash + `"}]}
store: {url: "redis://a,b?cluster=true", ttl: 24h}
memory: {strategy: window, window: 1}
upstreams: [{name: openai, url: http://h/v1, keys: [{value: k}]}, {name: local, url: http://l/v1}]
`, nil, `
mnemo listens on https://:8443, which can be reached from other machines too.
1 client key may call.
Sessions live in redis://a,b?cluster=true, for 24h0m0s after their last turn; prompts hold the newest 1 group.
Upstream openai, the default, is http://h/v1, called with 1 key.
Upstream local is http://l/v1, called without a key.
`},
	} {
		file(t, "mnemo.yaml", c.file)
		code, out, errs := start(t, c.environ, "check")
		if code != exitOK || !strings.HasSuffix(out, "\n"+c.want) {
			t.Errorf("exits with %d, says %s\n%s\nwant the end\n%s", code, errs, out, c.want)
		}
	}
}

func TestCheck_tells_all_mistakes_and_exits_with_1(t *testing.T) {
	file(t, "my.yaml", "listne: x\nmemory:\n  budget: many\n")
	code, out, errs := start(t, []string{"MNEMO_AUTH=all"}, "check", "--config", "my.yaml", "--log", "xml")
	want := `mnemo: my.yaml:1:1: listne: unknown setting (did you mean listen?)
mnemo: my.yaml:3:11: memory.budget: must be a whole number, not "many"
mnemo: MNEMO_AUTH: auth.mode: must be passthrough, keys or none, not "all"
mnemo: --log: log.format: must be text or json, not "xml"
`
	if code != exitFailed || out != "" || errs != want {
		t.Errorf("exits with %d, says %q and\n%s\nwant\n%s", code, out, errs, want)
	}
}

func TestCheck_refuses_to_be_reached_by_others_when_nothing_was_decided(t *testing.T) {
	code, _, errs := start(t, nil, "check", "--listen", ":8080")
	if code != exitFailed || !strings.Contains(errs, "--listen: listen: :8080 can be reached from other machines") || !strings.Contains(errs, "--auth") {
		t.Errorf("exits with %d, says %s", code, errs)
	}
}

func TestCheck_warns_of_unknown_variables(t *testing.T) {
	code, out, errs := start(t, []string{"MNEMO_LISTENS=x"}, "check")
	if code != exitOK || out == "" || errs != "mnemo: warning: MNEMO_LISTENS is no variable of mnemo's (did you mean MNEMO_LISTEN?)\n" {
		t.Errorf("exits with %d, says %s", code, errs)
	}
}
