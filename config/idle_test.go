package config

import (
	"slices"
	"testing"
)

func TestWarnings_tell_of_settings_without_effect(t *testing.T) {
	const two = "upstreams: [{name: a, url: http://h}, {name: b, url: http://i}]\nroutes: [{model: '*', to: [{upstream: a}, {upstream: b}]}]\n"
	for text, want := range map[string][]string{
		"":                      nil,
		"hedge_after: 5s":       {"hedge_after has no effect: no route has a second upstream"},
		"hedge_after: 0s":       nil,
		two + "hedge_after: 5s": nil,
		"upstreams: [{name: a, url: http://h, timeouts: {first_token: 9s}}]":                                                                                       {"upstreams[0].timeouts.first_token has no effect: no route names an upstream after it"},
		"upstreams: [{name: a, url: http://h}, {name: b, url: http://i, timeouts: {first_token: 9s}}]\nroutes: [{model: '*', to: [{upstream: a}, {upstream: b}]}]": {"upstreams[1].timeouts.first_token has no effect: no route names an upstream after it"},
		"upstreams: [{name: a, url: http://h, timeouts: {first_token: 9s}}, {name: b, url: http://i}]\nroutes: [{model: '*', to: [{upstream: a}, {upstream: b}]}]": nil,
		"answer_cache: {url: redis://h}":                      {"answer_cache.url has no effect: no route has a cache.ttl"},
		"alerts: {secret: s}":                                 {"alerts.secret has no effect: alerts.url is not set"},
		"alerts: {secret: s, url: http://h}":                  nil,
		"telemetry: {redact: [a]}":                            {"telemetry.redact has no effect: telemetry.content is false"},
		"telemetry: {redact: [a], content: true}":             nil,
		"budgets: [{name: a, limit: 1 USD, action: degrade}]": {"budgets[0].action has no effect: no route has a degrade list"},
		"budgets: [{name: a, limit: 1 USD, action: degrade}]\nroutes: [{model: a, to: [{upstream: default}], degrade: [{upstream: default}]}]": nil,
		"routes: [{model: a, to: [{upstream: default}], cache: {stale_if_error: 1h}}]":                                                         {"routes[0].cache.stale_if_error has no effect: cache.ttl is 0s"},
		"routes: [{model: a, to: [{upstream: default}], cache: {ttl: 1h, stale_if_error: 1h}}]\nanswer_cache: {url: redis://h}":                nil,
		"upstreams: [{name: a, url: http://h, capabilities: {prefill: true}}]":                                                                 {"upstreams[0].capabilities.prefill has no effect: on_stream_break is error"},
		"upstreams: [{name: a, url: http://h, capabilities: {prefill: true}}]\non_stream_break: resume":                                        nil,
		"upstreams: [{name: a, url: http://h, rotate_after: 90d, keys: [{value: k}]}]":                                                         {"upstreams[0].rotate_after has no effect: no key says since when it is in use"},
		"upstreams: [{name: a, url: http://h, rotate_after: 90d, keys: [{value: k, since: 2026-01-31}]}]":                                      nil,
	} {
		if got := load(t, Sources{ReadFile: only(DefaultFile, text)}).Warnings; !slices.Equal(got, want) {
			t.Errorf("%s\n warns %q\n want  %q", text, got, want)
		}
	}
}
