package config

import (
	"slices"
	"strings"
	"testing"
)

func TestValidate_finds_what_does_not_fit_together(t *testing.T) {
	const upstream = "upstreams: [{name: a, url: http://h/v1"
	for text, want := range map[string]string{
		"listen: nowhere":      "1:9: listen: must be host:port, such as 127.0.0.1:8080 or :8080",
		"listen: 127.0.0.1:x":  "1:9: listen: must be host:port, such as 127.0.0.1:8080 or :8080",
		"listen: ::1:8080":     "1:9: listen: must be host:port, such as 127.0.0.1:8080 or :8080",
		"listen: localhost:-1": "1:9: listen: must be host:port, such as 127.0.0.1:8080 or :8080",
		"tls: {cert: c}":       "1:13: tls.cert: needs tls.key beside it",
		"tls:\n  key: k":       "2:8: tls.key: needs tls.cert beside it",

		"auth: {mode: keys}":                                                 "1:14: auth.mode: keys needs client keys, which the file lists under auth.keys",
		"auth: {mode: none, keys: [" + appKey + "]}":                         "1:20: auth.keys: are of no use with auth.mode none: remove them, or set auth.mode to keys",
		"auth: {keys: [{name: a b, hash: '" + sum + "'}]}":                   "1:22: auth.keys[0].name: must be 1 to 64 letters, digits or any of . _ -",
		"auth: {keys: [{hash: '" + sum + "'}]}":                              "1:16: auth.keys[0].name: must be 1 to 64 letters, digits or any of . _ -",
		"auth: {keys: [{name: a}]}":                                          "1:16: auth.keys[0].hash: is missing: sha256: and the 64 hex digits that printf %s KEY | sha256sum prints",
		"auth: {keys: [{name: a, hash: 'sha256:00'}]}":                       "1:31: auth.keys[0].hash: must be sha256: and 64 hex digits; printf %s KEY | sha256sum prints them",
		"auth: {keys: [{name: a, tenant: 'a b', hash: '" + sum + "'}]}":      "1:33: auth.keys[0].tenant: must be 1 to 256 visible ASCII characters",
		"auth: {keys: [{name: a, models: [''], hash: '" + sum + "'}]}":       "1:34: auth.keys[0].models[0]: must be the name of a model: visible ASCII characters, not empty",
		"auth: {keys: [" + appKey + ", {name: b, hash: '" + sum + "'}]}":     "1:125: auth.keys[1].hash: is the same as that of auth.keys[0]",
		"auth: {keys: [" + appKey + ", {name: app, hash: '" + other + "'}]}": "1:116: auth.keys[1].name: is the same as that of auth.keys[0]",
		"auth: {mode: passthrough}\n" + upstream + ", keys: [{value: k}]}]":  "2:41: upstreams[0].keys: are of no use with auth.mode passthrough, which sends the client's own key: remove them, or set auth.mode to keys or none",

		"upstreams: [{url: http://h}]":                                      "1:14: upstreams[0].name: must be 1 to 64 letters, digits or any of . _ -",
		"upstreams: [{name: a}]":                                            "1:14: upstreams[0].url: must be an absolute http or https URL, such as https://api.openai.com/v1",
		"upstreams: [{name: a, url: ftp://h}]":                              "1:28: upstreams[0].url: must be an absolute http or https URL, such as https://api.openai.com/v1",
		"upstreams: [{name: a, url: 'http://:1'}]":                          "1:28: upstreams[0].url: must be an absolute http or https URL, such as https://api.openai.com/v1",
		"upstreams: [{name: a, url: 'http://u:hunter2@h'}]":                 "1:28: upstreams[0].url: must hold no credentials: they belong in keys or headers",
		"upstreams: [{name: a, url: 'http://h/?k=v'}]":                      "1:28: upstreams[0].url: must end with its path: no query, no fragment",
		"upstreams: [{name: a, url: 'http://h/v1?'}]":                       "1:28: upstreams[0].url: must end with its path: no query, no fragment",
		"upstreams: [{name: a, url: 'http://h/v1#'}]":                       "1:28: upstreams[0].url: must end with its path: no query, no fragment",
		upstream + "}, {name: a, url: http://i}]":                           "1:49: upstreams[1].name: is the same as that of upstreams[0]",
		upstream + ", keys: [{}]}]":                                         "1:48: upstreams[0].keys[0].value: must be a key: visible ASCII characters, not empty",
		upstream + ", keys: [{value: 'a b'}]}]":                             "1:56: upstreams[0].keys[0].value: must be a key: visible ASCII characters, not empty",
		upstream + ", keys: [{value: a}, {value: a}]}]":                     "1:68: upstreams[0].keys[1].value: is the same as that of upstreams[0].keys[0]",
		upstream + ", keys: [{value: a, label: x}, {value: b, label: x}]}]": "1:88: upstreams[0].keys[1].label: is the same as that of upstreams[0].keys[0]",
		upstream + ", keys: [{value: a, weight: 0}]}]":                      "1:41: upstreams[0].keys: must hold at least one key with a weight above 0",
		upstream + ", keys: [{value: a, weight: -1}]}]":                     `1:67: upstreams[0].keys[0].weight: must be at least 0 and at most 1000000, not "-1"`,
		upstream + ", headers: {a b: c}}]":                                  "1:56: upstreams[0].headers.a b: is no header that can be set",
		upstream + ", headers: {Upgrade: c}}]":                              "1:60: upstreams[0].headers.Upgrade: is no header that can be set",
		upstream + `, headers: {A: "sk\nb"}}]`:                              "1:54: upstreams[0].headers.A: must hold no control characters",

		"routes: [{model: a, to: []}]":                                "1:21: routes[0].to: must list at least one upstream",
		"routes: [{to: [{upstream: default}]}]":                       "1:11: routes[0].model: must be the name of a model: visible ASCII characters, not empty",
		"routes: [{model: a, to: [{upstream: defaut}]}]":              `1:37: routes[0].to[0].upstream: no upstream has the name "defaut" (did you mean default?)`,
		"routes: [{model: a, to: [{}]}]":                              `1:26: routes[0].to[0].upstream: no upstream has the name ""`,
		"routes: [{model: a, to: [{upstream: default, model: a b}]}]": "1:53: routes[0].to[0].model: must be the name of a model: visible ASCII characters, not empty",
		"routes: [{model: a, to: [&x {upstream: default}]}]":          "1:26: routes[0].to[0]: anchors, aliases and tags are not supported",
		"routes: [" + route + ", " + route + "]":                      "1:57: routes[1].model: is the same as that of routes[0]",
		"memory: {strategy: window}":                                  "1:20: memory.window: must be at least 1 with strategy window: the number of groups to send",
		"memory: {session_header: 'X Session'}":                       "1:26: memory.session_header: must be the name of a header",
		"personas: {a b: {prompt: x}}":                                "1:12: personas.a b: must be 1 to 64 letters, digits or any of . _ -",
		"personas: {none: {prompt: x}}":                               "1:12: personas.none: cannot be the name of a persona: it stands for no persona",
		"personas: {a: {greeting: x}}":                                "1:12: personas.a.prompt: is missing: the text of the system message",
		"personas: {a: {prompt: x, vars: {1a: b}}}":                   "1:38: personas.a.vars.1a: must be the name of a variable: letters, digits and _, not beginning with a digit",
		"store: {queue: {turns: 0}}":                                  `1:24: store.queue.turns: must be at least 1 and at most 10000000, not "0"`,
		"summarize: {max_tokens: 1}":                                  `1:25: summarize.max_tokens: must be at least 64 and at most 100000, not "1"`,
		"retry: {base: 6s}":                                           "1:15: retry.base: must be at most retry.max, 5s",
		"retry:\n  max: 1ms":                                          "1:1: retry.base: must be at most retry.max, 1ms",
		"breaker: {failure_ratio: 1.1}":                               `1:26: breaker.failure_ratio: must be more than 0 and at most 1, not "1.1"`,
		"breaker: {failure_ratio: .nan}":                              `1:26: breaker.failure_ratio: must be a number, not ".nan"`,
	} {
		got := mistakes(t, Sources{ReadFile: only(DefaultFile, text)})
		if !slices.Equal(got, []string{"mnemo.yaml:" + want}) {
			t.Errorf("%s\n gives %s\n want  mnemo.yaml:%s", text, strings.Join(got, "\n       "), want)
		}
	}
}

func TestValidate_refuses_to_be_reached_by_others_when_nothing_was_decided(t *testing.T) {
	for _, listen := range []string{":8080", "0.0.0.0:8080", "[::]:8080", "192.168.1.5:80", "example.com:80", "localhost.example.com:1"} {
		for _, environ := range [][]string{nil, {"OPENAI_API_KEYS=sk-1"}} {
			got := mistakes(t, Sources{Flags: map[string]string{"listen": listen}, Environ: environ})
			if len(got) != 1 || !strings.HasPrefix(got[0], "--listen: listen: "+listen+" can be reached from other machines") ||
				!strings.Contains(got[0], "MNEMO_AUTH") {
				t.Errorf("%s with %v gives %q", listen, environ, got)
			}
		}
		for _, mode := range []string{AuthNone, AuthPassthrough} {
			cfg := load(t, Sources{Flags: map[string]string{"listen": listen, "auth": mode}})
			if cfg.Auth.Mode != mode || cfg.Loopback() {
				t.Errorf("%s with %s gives %s", listen, mode, cfg.Auth.Mode)
			}
		}
	}
}

func TestValidate_chooses_who_may_call_on_loopback(t *testing.T) {
	pooled := "upstreams: [{name: a, url: http://h}, {name: b, url: http://i, keys: [{value: k}]}]\n"
	for _, listen := range []string{"127.0.0.1:0", "127.9.9.9:8080", "[::1]:8080", "localhost:8080"} {
		for text, want := range map[string]string{
			"":     AuthPassthrough,
			pooled: AuthNone,
			pooled + "auth: {keys: [" + appKey + "]}": AuthKeys,
		} {
			cfg := load(t, Sources{ReadFile: only(DefaultFile, text), Flags: map[string]string{"listen": listen}})
			if cfg.Auth.Mode != want || !cfg.Loopback() {
				t.Errorf("%s on %s gives %s, want %s", text, listen, cfg.Auth.Mode, want)
			}
		}
	}
}

func TestValidate_counts_listed_client_keys_as_a_decision(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, "listen: :8080\nauth: {keys: ["+appKey+"]}")})
	if cfg.Auth.Mode != AuthKeys {
		t.Errorf("auth.mode is %s", cfg.Auth.Mode)
	}
}

func TestValidate_allows_a_pool_with_a_key_that_rests(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, "upstreams: [{name: a, url: http://h, keys: [{value: k}, {value: l, weight: 0}]}]")})
	if cfg.Upstreams[0].Keys[1].Weight != 0 {
		t.Errorf("weight %d", cfg.Upstreams[0].Keys[1].Weight)
	}
}

const (
	sum    = "sha256:" + digits
	other  = "sha256:0086d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a00"
	appKey = "{name: app, hash: '" + sum + "'}"
	route  = "{model: a, to: [{upstream: default}]}"
)
