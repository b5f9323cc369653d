package config

import (
	"slices"
	"strings"
	"testing"
)

func TestValidate_finds_what_does_not_fit_an_upstream(t *testing.T) {
	const upstream = "upstreams: [{name: a, url: http://h/v1"
	for text, want := range map[string]string{
		upstream + ", proxy: 'ftp://u:hunter2@p'}]":                          "1:48: upstreams[0].proxy: must be direct or look like http://, https:// or socks5://[user:password@]host[:port]; characters such as / ? # @ in a password are written as %2F %3F %23 %40",
		upstream + ", rotate_after: -1s}]":                                   `1:55: upstreams[0].rotate_after: must be at least 0s, not "-1s"`,
		upstream + ", organization: 'a b'}]":                                 "1:55: upstreams[0].organization: must be 1 to 256 visible ASCII characters",
		upstream + ", project: p, headers: {openai-project: q}}]":            "1:50: upstreams[0].project: and headers.openai-project exclude each other",
		upstream + ", keys: [{value: k, since: yesterday}]}]":                `1:66: upstreams[0].keys[0].since: must be a date such as 2026-01-31, not "yesterday"`,
		upstream + ", prices: {m: {input: 1}}}]":                             "1:50: upstreams[0].prices.m: needs input and output, in dollars for a million tokens",
		upstream + ", prices: {m: {input: 1, output: -1}}}]":                 `1:72: upstreams[0].prices.m.output: must be dollars for a million tokens, at most 2000, with at most 6 decimals, not "-1"`,
		upstream + ", prices: {a b: {input: 1, output: 1}}}]":                "1:50: upstreams[0].prices.a b: must be the name of a model: visible ASCII characters, not empty",
		upstream + ", retry: {attempts: 11}}]":                               `1:59: upstreams[0].retry.attempts: must be at least 0 and at most 10, not "11"`,
		upstream + ", retry: {ratios: 1}}]":                                  "1:49: upstreams[0].retry.ratios: unknown setting (did you mean ratio?)",
		upstream + ", breaker: {share: 'redis://h'}}]":                       "1:51: upstreams[0].breaker.share: unknown setting (did you mean breaker.share?)",
		upstream + ", capabilities: {prefil: true}}]":                        "1:56: upstreams[0].capabilities.prefil: unknown setting (did you mean prefill?)",
		"routes: [{model: a, to: [{upstream: default}], degrade: [{}]}]":     `1:58: routes[0].degrade[0].upstream: no upstream has the name ""`,
		"routes: [{model: a, degrade: [{upstream: default}]}]":               "1:11: routes[0].to: must list at least one upstream",
		"routes: [{model: a, to: [{upstream: default}], cache: {ttl: -1s}}]": `1:61: routes[0].cache.ttl: must be at least 0s, not "-1s"`,
		"breaker: {share: 'sqlite:hunter2'}":                                 "1:18: breaker.share: must begin with redis:// or rediss://",
		"answer_cache: {url: 'redis://:hunter2@'}":                           "1:21: answer_cache.url: must look like redis://[user:password@]host[:port][/db]; characters such as / ? # @ in a password are written as %2F %3F %23 %40",
		"answer_cache: {size: 1}":                                            `1:22: answer_cache.size: must be at least 64KiB, not "1"`,
		"on_stream_break: go on":                                             `1:18: on_stream_break: must be error or resume, not "go on"`,
	} {
		got := mistakes(t, Sources{ReadFile: only(DefaultFile, text)})
		if !slices.Equal(got, []string{"mnemo.yaml:" + want}) {
			t.Errorf("%s\n gives %s\n want  mnemo.yaml:%s", text, strings.Join(got, "\n       "), want)
		}
	}
}
