package answercache

import (
	"strings"
	"testing"
)

const asks = `{"model":"gpt-4o","temperature":0,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"2+2?"}]}`

func TestKeyOf_is_the_same_for_the_same_request(t *testing.T) {
	want := mustKey(t, "shop", asks)
	for name, body := range map[string]string{
		"white space": strings.NewReplacer(",", " ,\n\t", ":", " :\r\n ", "{", "{ ").Replace(asks) + "\n",
		"order":       `{"messages":[{"content":"Be brief.","role":"system"},{"content":"2+2?","role":"user"}],"temperature":0,"model":"gpt-4o"}`,
	} {
		if got := mustKey(t, "shop", body); got != want {
			t.Errorf("%s makes another key", name)
		}
	}
	for _, member := range []string{
		`"stream":true`, `"stream":false`, `"stream_options":{"include_usage":true}`, `"user":"ada"`, `"metadata":{"a":"b"}`, `"store":false`,
		`"safety_identifier":"x"`, `"prompt_cache_key":"x"`, `"prompt_cache_retention":"24h"`, `"prompt_cache_options":{"ttl":"30m"}`,
		`"\u0073tream":true`,
	} {
		for _, body := range []string{strings.Replace(asks, "{", "{"+member+",", 1), strings.TrimSuffix(asks, "}") + "," + member + "}"} {
			if got := mustKey(t, "shop", body); got != want {
				t.Errorf("%s makes another key", member)
			}
		}
	}
}

func TestKeyOf_differs_with_all_that_may_change_the_answer(t *testing.T) {
	seen := map[Key]string{mustKey(t, "shop", asks): "itself"}
	check := func(tenant, body string) {
		t.Helper()
		key := mustKey(t, tenant, body)
		if had, ok := seen[key]; ok {
			t.Errorf("%s has the key of %s", body, had)
		}
		seen[key] = body
	}
	check("shop2", asks)
	check("", asks)
	for _, change := range [][2]string{
		{"gpt-4o", "gpt-4o-mini"}, {"2+2?", "2+2 ?"}, {"2+2?", `2+2\u003f`}, {"user", "assistant"}, {`,"temperature":0`, ""}, {":0", ":0.0"},
		{":0", ":null"}, {":0", `:"0"`}, {"{", `{"seed":9007199254740993,`}, {"{", `{"seed":9007199254740992,`}, {"{", `{"n":2,`},
		{"{", `{"service_tier":"flex",`}, {"{", `{"x":[1,[2]],`}, {"{", `{"x":[1,2],`}, {"{", `{"x":[[1],2],`}, {"{", `{"x":[12],`},
		{"{", `{"x":{"stream":true},`}, {"{", `{"x":{},`}, {"{", `{"x":{"y":{}},`}, {"{", `{"x":"\ud800",`}, {"{", `{"x":"\ufffd",`},
		{"{", `{"\ud800":1,`}, {"{", `{"\ufffd":1,`},
	} {
		check("shop", strings.Replace(asks, change[0], change[1], 1))
	}
	check("shop", `{"model":"gpt-4o","temperature":0,"messages":[{"role":"user","content":"2+2?"},{"role":"system","content":"Be brief."}]}`)
	if mustKey(t, `a{"x":1}`, `{}`) == mustKey(t, `a`, `{"x":1}`) {
		t.Error("a tenant's end is taken for a body's beginning")
	}
}

func TestKeyOf_minds_the_order_of_schemas(t *testing.T) {
	for _, member := range []string{"tools", "functions", "response_format"} {
		one := mustKey(t, "", `{"`+member+`":[{"properties":{"a":{},"b":{}}}]}`)
		other := mustKey(t, "", `{"`+member+`":[{"properties":{"b":{},"a":{}}}]}`)
		if one == other {
			t.Errorf("%s: two orders have one key", member)
		}
		if spaced := mustKey(t, "", `{ "`+member+`" : [ {"properties": {"a": {}, "b": {}}} ] }`); spaced != one {
			t.Errorf("%s: white space makes another key", member)
		}
	}
}

func TestKeyOf_knows_no_key_of_what_is_not_one_exact_request(t *testing.T) {
	for _, body := range []string{
		"", " ", "null", "[]", `"x"`, "{", `{"a":1`, `{"a":1}}`, `{"a":1}{}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1 "b":2}`, `{a:1}`,
		`{"a":01}`, `{"a":1.}`, `{"a":nul}`, `{"a":truefalse}`, `{"a":'x'}`, `{"a":"x}`, `{"a":"\x"}`, `{"a":"\ud8"}`, "{\"a\":\"\n\"}", `{"a":[1,]}`,
		`{"a":[1 2]}`, `{"a":[}`, `{"a":]}`, `{"a":NaN}`,
		`{"a":1,"a":1}`, `{"a":1,"b":2,"\u0061":1}`, `{"x":{"a":1,"a":2}}`, `{"tools":[{"a":1,"a":2}]}`, `{"stream":true,"stream":false}`,
		`{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, strings.Repeat("[", 1<<20), strings.Repeat(`{"a":`, 1<<20),
		`{"a":"` + strings.Repeat("x", MaxRequest) + `"}`,
	} {
		if _, ok := KeyOf("shop", body); ok {
			t.Errorf("%.60q has a key", body)
		}
	}
}

func TestKeyOf_does_bounded_work(t *testing.T) {
	inner := `"` + strings.Repeat("x", 1<<20) + `"`
	for range maxDepth - 4 {
		inner = `{"b":1,"a":` + inner + `}`
	}
	if _, ok := KeyOf("shop", inner); ok {
		t.Error("every level moved a megabyte")
	}
}

func TestTagOf_is_of_a_tenants_session(t *testing.T) {
	again := TagOf("a", "bc")
	tags := map[Tag]bool{{}: true, TagOf("a", "bc"): true, TagOf("ab", "c"): true, TagOf("a", ""): true, TagOf("", "a"): true}
	if len(tags) != 5 || !tags[again] {
		t.Errorf("there are %d tags", len(tags))
	}
}

func mustKey(t testing.TB, tenant, body string) Key {
	t.Helper()
	key, ok := KeyOf(tenant, body)
	if !ok {
		t.Fatalf("no key for %.200s", body)
	}
	return key
}
