package config

import (
	"strings"
	"testing"
	"time"
)

func TestUpstream_takes_from_the_global_retry_and_breaker_what_it_leaves_out(t *testing.T) {
	text := `
upstreams:
  - {name: a, url: "http://a", retry: {attempts: 0, within: 20s}, breaker: {open: 1s}}
  - {name: b, url: "http://b"}
  - {name: c, url: "http://c", retry: {attempts: ~}, breaker: ~}
retry: {attempts: 5, base: 100ms}
breaker: {consecutive: 3}
`
	cfg := load(t, Sources{ReadFile: only(DefaultFile, text)})
	a, b, c := cfg.Upstreams[0], cfg.Upstreams[1], cfg.Upstreams[2]
	if want := (Retry{Attempts: 0, Base: 100 * time.Millisecond, Max: 5 * time.Second, Within: 20 * time.Second, Ratio: 1.2}); a.Retry != want {
		t.Errorf("a has %+v, want %+v", a.Retry, want)
	}
	if want := cfg.Breaker.Breaker; a.Breaker.Open != time.Second || a.Breaker.Consecutive != 3 || a.Breaker.Window != want.Window || a.Breaker.OpenMax != want.OpenMax {
		t.Errorf("a has %+v", a.Breaker)
	}
	for _, u := range []Upstream{b, c} {
		if u.Retry != cfg.Retry || u.Breaker != cfg.Breaker.Breaker {
			t.Errorf("%s has %+v and %+v", u.Name, u.Retry, u.Breaker)
		}
	}
	for key, want := range map[string]string{
		"upstreams[0].retry.attempts": "mnemo.yaml:3", "upstreams[0].retry.base": "mnemo.yaml:6", "upstreams[0].retry.max": "default",
		"upstreams[1].breaker.consecutive": "mnemo.yaml:7", "upstreams[2].retry.attempts": "mnemo.yaml:6",
	} {
		if got := setting(t, cfg, key).Origin; got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
	next := load(t, Sources{ReadFile: only(DefaultFile, strings.Replace(text, "attempts: 5", "attempts: 4", 1)), Environ: []string{"MNEMO_RETRIES=7"}})
	if next.Upstreams[0].Retry.Attempts != 0 || next.Upstreams[1].Retry.Attempts != 7 {
		t.Errorf("read again: %+v and %+v", next.Upstreams[0].Retry, next.Upstreams[1].Retry)
	}
	if got := strings.Join(cfg.Changes(next), " "); got != "upstreams[1].retry.attempts upstreams[2].retry.attempts retry.attempts" {
		t.Errorf("changed: %s", got)
	}
}

func TestUpstream_of_the_defaults_has_the_global_retry_and_breaker(t *testing.T) {
	cfg := load(t, Sources{Environ: []string{"MNEMO_RETRIES=1"}})
	if u := cfg.Upstreams[0]; u.Retry != cfg.Retry || u.Retry.Attempts != 1 || u.Breaker != cfg.Breaker.Breaker {
		t.Errorf("got %+v and %+v", u.Retry, u.Breaker)
	}
}

func TestUpstream_reports_a_contradiction_of_global_pauses_once(t *testing.T) {
	got := mistakes(t, Sources{ReadFile: only(DefaultFile, "retry: {base: 6s}\nupstreams: [{name: a, url: http://h}, {name: b, url: http://h, breaker: {open: 1h}}]")})
	want := []string{
		"mnemo.yaml:1:15: retry.base: must be at most retry.max, 5s",
		"mnemo.yaml:2:80: upstreams[1].breaker.open: must be at most upstreams[1].breaker.open_max, 30s",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUpstream_prices_cached_tokens_as_input_unless_they_have_a_price(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, `
upstreams:
  - name: a
    url: http://h
    prices:
      gpt-4.1: {input: 2.5, output: 10}
      gpt-4o: {input: 2.5, cached_input: 1.25, cache_write: 0, output: "10.000001"}
      own/qwen: {input: 0, output: 0}
`)})
	prices := cfg.Upstreams[0].Prices
	for model, want := range map[string]Price{
		"gpt-4.1":  {Input: 2_500_000, CachedInput: 2_500_000, CacheWrite: 2_500_000, Output: 10_000_000},
		"gpt-4o":   {Input: 2_500_000, CachedInput: 1_250_000, Output: 10_000_001},
		"own/qwen": {},
	} {
		if got, known := prices[model]; !known || got != want {
			t.Errorf("%s costs %+v, want %+v", model, got, want)
		}
	}
	if got := setting(t, cfg, "upstreams[0].prices.gpt-4o.output").Value; got != "10.000001" {
		t.Errorf("shown as %s", got)
	}
}

func TestRoute_has_a_cheaper_way_and_a_cache(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, `
routes:
  - {model: a, to: [{upstream: default}], degrade: [{upstream: default, model: b}], cache: {ttl: 1h, stale_if_error: 2d}}
  - {model: b, to: [{upstream: default}]}
`)})
	if r := cfg.Routes[0]; r.Degrade[0] != (Target{"default", "b"}) || r.Cache != (RouteCache{time.Hour, 1000, 48 * time.Hour}) {
		t.Errorf("got %+v", r)
	}
	if r := cfg.Routes[1]; len(r.Degrade) != 0 || r.Cache != (RouteCache{MaxEntries: 1000}) {
		t.Errorf("got %+v", r)
	}
}
