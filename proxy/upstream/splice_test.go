package upstream

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/quick"
)

func TestSplice_replaces_only_the_model(t *testing.T) {
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

func TestSplice_keeps_every_other_member(t *testing.T) {
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

func TestSplice_adds_a_cache_key_to_an_object_that_has_none(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"a"}`:                       `{"prompt_cache_key":"s","model":"a"}`,
		`{ "n": 0.70 }`:                       `{"prompt_cache_key":"s", "n": 0.70 }`,
		`{"a":{"prompt_cache_key":"x"}}`:      `{"prompt_cache_key":"s","a":{"prompt_cache_key":"x"}}`,
		`{"a":1,"prompt_cache_key":"x"}`:      `{"a":1,"prompt_cache_key":"x"}`,
		`{"prompt_cache_key":null}`:           `{"prompt_cache_key":null}`,
		`{"prompt_cache\u005fkey":"x","a":1}`: `{"prompt_cache\u005fkey":"x","a":1}`,
		`{}`:                                  `{}`,
		`["a"]`:                               `["a"]`,
		`{"a":1`:                              `{"a":1`,
		``:                                    ``,
	} {
		if got := withCacheKey(body, `"s"`); got != want {
			t.Errorf("%s became %s, want %s", body, got, want)
		}
	}
}

func TestSplice_reads_what_is_nested_deeply(t *testing.T) {
	for deep, want := range map[string]bool{
		strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000): true,
		strings.Repeat("[", 1<<20):                              false,
		`"` + strings.Repeat("[", 1<<20) + `"`:                  true,
	} {
		if got := validJSON(deep); got != want {
			t.Errorf("%d bytes: %v", len(deep), got)
		}
	}
}

func TestSplice_adds_the_cache_key_at_the_upstreams_that_take_it(t *testing.T) {
	up := newFake(t, once(500))
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: up.URL + "/a"}, {Name: "b", URL: up.URL + "/b", PromptCacheKey: true}},
		Routes:    toBoth(), Retry: Retry{Attempts: 1, Base: 1},
		Breaker: Breaker{Consecutive: 1},
	})
	r := chat("m")
	r.CacheKey = "tenant \"1\""
	p.call(t, r)
	got := up.seen()
	if got[0].body != r.Body || got[1].body != `{"prompt_cache_key":"tenant \"1\"","model":"other","messages":[]}` {
		t.Errorf("the upstreams were sent %s and %s", got[0].body, got[1].body)
	}
	for name, change := range map[string]func(*Request){
		"no key":         func(r *Request) { r.CacheKey = "" },
		"another target": func(r *Request) { r.Target = "/embeddings" },
		"its own":        func(r *Request) { r.Body = `{"model":"m","prompt_cache_key":"mine"}` },
	} {
		r := chat("m")
		r.CacheKey = "key"
		change(r)
		p.call(t, r)
		sent := up.seen()
		if want := strings.Replace(r.Body, `"m"`, `"other"`, 1); sent[len(sent)-1].body != want {
			t.Errorf("%s: %s", name, sent[len(sent)-1].body)
		}
	}
}
