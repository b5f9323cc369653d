package upstream

import (
	"fmt"
	"strings"
	"testing"
)

func TestRouter_takes_the_first_route_that_matches(t *testing.T) {
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: "http://a"}, {Name: "b", URL: "http://b"}, {Name: "c", URL: "http://c"}},
		Routes: []Route{
			{Model: "gpt-4o", To: []Candidate{{"b", ""}}},
			{Model: "gpt-*", To: []Candidate{{"c", "x"}, {"a", ""}}},
		},
	})
	for model, want := range map[string]string{"gpt-4o": "b", "gpt-4o-mini": "c/x a", "GPT-4o": "a", "": "a", "claude": "a"} {
		var got []string
		for _, c := range p.router.candidates(model) {
			name := c.upstream.name
			if c.model != "" {
				name += "/" + c.model
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q goes to %v, want %s", model, got, want)
		}
	}
}

func TestRouter_matches_stars_and_nothing_else(t *testing.T) {
	for _, test := range []struct {
		pattern, model string
		want           bool
	}{
		{"*", "", true}, {"*", "x", true}, {"", "", true}, {"", "x", false},
		{"a", "a", true}, {"a", "A", false}, {"a", "ab", false}, {"a*", "a", true}, {"a*", "ab", true}, {"a*", "ba", false},
		{"*a", "a", true}, {"*a", "ba", true}, {"*a", "ab", false}, {"*a*", "bab", true}, {"a*c", "abc", true}, {"a*c", "abd", false},
		{"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false}, {"**", "x", true}, {"a?", "ab", false}, {"[a]", "a", false}, {"a.c", "abc", false},
		{"*aab", "aaaab", true}, {"ft:*:org*", "ft:gpt-4o:org-1", true},
	} {
		if got := Matches(test.pattern, test.model); got != test.want {
			t.Errorf("%q matches %q: %v", test.pattern, test.model, got)
		}
	}
}

func TestCandidates_have_the_names_that_models_have_there(t *testing.T) {
	ups := []Upstream{{Name: "a", URL: "http://a"}, {Name: "b", URL: "http://b"}}
	p := newPool(t, Options{Upstreams: ups, Routes: []Route{
		{Model: "x", To: []Candidate{{Upstream: "b", Model: "y"}, {Upstream: "a"}}, Degrade: []Candidate{{Upstream: "a", Model: "z"}}},
	}})
	for _, c := range []struct {
		model    string
		degraded bool
		want     string
	}{{"x", false, "[{b y} {a x}]"}, {"x", true, "[{a z}]"}, {"other", false, "[{a other}]"}, {"other", true, "[]"}} {
		if got := fmt.Sprint(p.Candidates(c.model, c.degraded)); got != c.want {
			t.Errorf("%s, degraded %t: %s, want %s", c.model, c.degraded, got, c.want)
		}
	}
}
