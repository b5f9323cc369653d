package upstream

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/quick"
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

func TestRouter_replaces_only_the_model(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"a"}`: `{"model":"new"}`,
		` { "n" : 0.70, "model" : "a" , "x":{"model":"a"}, "y":12345678901234567890}` + "\n": ` { "n" : 0.70, "model" : "new" , "x":{"model":"a"}, "y":12345678901234567890}` + "\n",
		`{"model":"a","model":"b"}`:            `{"model":"new","model":"new"}`,
		`{"mod\u0065l":null}`:                  `{"mod\u0065l":"new"}`,
		`{"messages":[{"content":"\"model"}]}`: `{"messages":[{"content":"\"model"}]}`,
		`["model","a"]`:                        `["model","a"]`,
		`{"model":"a"`:                         `{"model":"a"`,
		`model`:                                `model`,
		``:                                     ``,
	} {
		if got := withModel(body, `"new"`); got != want {
			t.Errorf("%s became %s, want %s", body, got, want)
		}
	}
}

func TestRouter_keeps_every_other_member(t *testing.T) {
	property := func(members map[string]string, model string) bool {
		members["model"] = model
		body, _ := json.Marshal(members)
		var got map[string]string
		if json.Unmarshal([]byte(withModel(string(body), `"new"`)), &got) != nil {
			return false
		}
		var want map[string]string
		json.Unmarshal(body, &want)
		want["model"] = "new"
		return maps.Equal(got, want)
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}
