package answercache

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestCompact_takes_out_white_space_and_nothing_else(t *testing.T) {
	for text, want := range map[string]string{
		" { } ":                             `{}`,
		"[ ]":                               `[]`,
		"\t12345678901234567890\r\n":        `12345678901234567890`,
		`[ 0.70 , 1E+2 , -0 , null , true]`: `[0.70,1E+2,-0,null,true]`,
		`{ "b" : " x \" y " , "a" : [ { "\u0062" : "\ud83d" } ] }`:      `{"b":" x \" y ","a":[{"\u0062":"\ud83d"}]}`,
		`{"a":{"a":{"a":1}},"b":{"a":2}}`:                               `{"a":{"a":{"a":1}},"b":{"a":2}}`,
		`{"":1,"\\":2,"\\\"":3}`:                                        `{"":1,"\\":2,"\\\"":3}`,
		strings.Repeat(" [", maxDepth) + strings.Repeat("] ", maxDepth): strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		if got, ok := compact(text); !ok || got != want {
			t.Errorf("%s is %t, %s, want %s", text, ok, got, want)
		}
	}
}

func TestCompact_takes_what_is_JSON_only(t *testing.T) {
	for _, text := range []string{
		"", "  ", "x", "+1", "01", "1.", ".5", "1e", "--1", "tru", "nulls", `"`, `"\`, `"\u12"`, `"\q"`, "\"\x01\"", "[", "]", "[1", "[1,", "[,1]", "[1,,2]",
		"[1]]", "{", "}", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{1:2}`, `{"a":1}x`, "1 2", "\u00a01", "/**/1", "[1;2]",
		`{"a":1,"a":1}`, `{"a":1,"b":1,"a":1}`, `{"é":1,"\u00e9":1}`, `[{"x":{"a":1,"a":1}}]`,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
	} {
		if got, ok := compact(text); ok {
			t.Errorf("%.60q is %s", text, got)
		}
	}
}

func TestKeyOf_does_not_depend_on_the_form_of_a_request(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[Key]string{}
	for range 500 {
		v := randomValue(r, 3, true)
		body := v.text(nil)
		key := mustKey(t, "shop", body)
		if had, ok := seen[key]; ok && had != body {
			t.Fatalf("one key for\n%s\nand\n%s", had, body)
		}
		seen[key] = body
		for range 4 {
			if other := v.text(r); mustKey(t, "shop", other) != key {
				t.Fatalf("two keys for\n%s\nand\n%s", body, other)
			}
		}
	}
}

func TestStringEnd_is_behind_the_quote_that_ends_a_string(t *testing.T) {
	for text, want := range map[string]int{
		`"`: 1, `abc"`: 4, `a\"b"c`: 5, `a\\"b"`: 4, `a\\\"b"`: 7, `\"`: 2, `\\\\"`: 5, "": 0, "abc": 3, `a\`: 2,
	} {
		if got := stringEnd(text, 0); got != want {
			t.Errorf("%s ends at %d, want %d", text, got, want)
		}
	}
}

// A value is a JSON value whose form may change.
type value struct {
	scalar  string
	list    []value
	names   []string // of an object's members, which are in list
	isArray bool
}

// text is the value in one form, or in a random one.
func (v value) text(r *rand.Rand) string {
	blank := func() string {
		if r == nil {
			return ""
		}
		return pick(r, "", "", " ", "\n\t", "\r\n")
	}
	order := make([]int, len(v.list))
	for i := range order {
		order[i] = i
	}
	if r != nil && !v.isArray {
		order = r.Perm(len(order))
	}
	parts := make([]string, 0, len(order))
	for _, i := range order {
		part := blank() + v.list[i].text(r) + blank()
		if !v.isArray {
			part = blank() + strconv.Quote(v.names[i]) + blank() + ":" + part
		}
		parts = append(parts, part)
	}
	switch {
	case v.scalar != "":
		return blank() + v.scalar + blank()
	case v.isArray:
		return "[" + blank() + strings.Join(parts, ",") + "]"
	}
	return "{" + blank() + strings.Join(parts, ",") + "}"
}

func randomValue(r *rand.Rand, depth int, object bool) (v value) {
	if !object && (depth == 0 || r.IntN(3) == 0) {
		return value{scalar: pick(r, "0", "1.50", "-2e9", "true", "false", "null", `""`, `"a b"`, `"\""`, `"}"`, `"\ud83d\ude00"`)}
	}
	v.isArray = !object && r.IntN(2) == 0
	for i := range r.IntN(6) {
		v.list = append(v.list, randomValue(r, max(0, depth-1), false))
		v.names = append(v.names, fmt.Sprint(pick(r, "a", "role", "é", "z", ""), i))
	}
	return v
}

func TestRandomValues_are_JSON(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		v := randomValue(r, 3, true)
		if a, b := v.text(nil), v.text(r); !gjson.Valid(a) || !gjson.Valid(b) {
			t.Fatalf("%s\n%s", a, b)
		}
	}
}
