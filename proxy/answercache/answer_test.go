package answercache

import (
	"strings"
	"testing"
)

func TestFromJSON_reads_an_answer_in_any_form(t *testing.T) {
	got := mustAnswer(t, ` { "usage" : { "total_tokens" : 19.0 } , "obfuscation":"x", "choices" : [
		{ "finish_reason":"stop","message":{"content":"B","tool_calls":[]},"index":1},
		{ "finish_reason":"stop","message":{"content":"A","tool_calls":null,"role":null},"index":0 } ],
		"error":null, "x" : 1E+2, "model":"m" , "object" : "whatever", "id":"1","system_fingerprint":null }`)
	want := `{"id":"1","object":"chat.completion","model":"m","choices":[` +
		`{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"},` +
		`{"index":1,"message":{"role":"assistant","content":"B"},"finish_reason":"stop"}],` +
		`"usage":{"total_tokens":19.0},"system_fingerprint":null,"x":1E+2}`
	if string(got.JSON()) != want {
		t.Errorf("read as\n%s\nwant\n%s", got.JSON(), want)
	}
	if again := mustAnswer(t, want); again != got {
		t.Errorf("read again as %s", again.JSON())
	}
}

func TestFromJSON_keeps_calls_apart_that_have_no_id(t *testing.T) {
	body := completion(`{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"a","arguments":"{}"}},` +
		`{"type":"function","function":{"name":"b","arguments":"{}"}}]},"finish_reason":"tool_calls"}`)
	roundTrip(t, body)
}

func TestFromJSON_adds_what_clients_rely_on(t *testing.T) {
	got := mustAnswer(t, `{"choices":[{"message":{"tool_calls":[{"id":"1","index":0,"custom":{"name":"a","input":"b"}}]},"finish_reason":"stop"}]}`)
	want := `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[` +
		`{"id":"1","type":"custom","custom":{"name":"a","input":"b"}}]},"finish_reason":"stop"}]}`
	if string(got.JSON()) != want {
		t.Errorf("read as\n%s\nwant\n%s", got.JSON(), want)
	}
}

func TestFromJSON_takes_nothing_that_is_not_worth_being_given_again(t *testing.T) {
	good := `{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop"}`
	replaced := func(old, by string) string { return completion(strings.Replace(good, old, by, 1)) }
	for name, body := range map[string]string{
		"no JSON":                  "upstream error",
		"cut JSON":                 completion(good)[:200],
		"more than one":            completion(good) + completion(good),
		"a member twice":           strings.Replace(completion(good), "{", `{"id":"x",`, 1),
		"an array":                 "[" + completion(good) + "]",
		"no choices":               completion(""),
		"choices that are none":    `{"choices":{"index":0}}`,
		"an error":                 `{"error":{"message":"overloaded"}}`,
		"an error beside":          strings.Replace(completion(good), "{", `{"error":{"code":502},`, 1),
		"a choice that is a word":  completion(`"stop"`),
		"an embedding":             `{"object":"list","data":[{"embedding":[0.1]}]}`,
		"not finished":             replaced(`"stop"`, "null"),
		"not finished, unsaid":     replaced(`,"finish_reason":"stop"`, ""),
		"filtered":                 replaced(`"stop"`, `"content_filter"`),
		"an end that nobody knows": replaced(`"stop"`, `"error"`),
		"one choice of two":        completion(good + `,{"index":1,"message":{"role":"assistant","content":"5"},"finish_reason":null}`),
		"choice 1 alone":           replaced(`"index":0`, `"index":1`),
		"choice -1":                replaced(`"index":0`, `"index":-1`),
		"choice 128":               replaced(`"index":0`, `"index":128`),
		"nothing said":             replaced(`"4"`, `""`),
		"null said":                replaced(`"4"`, "null"),
		"no parts":                 replaced(`"4"`, "[]"),
		"no message":               replaced(`"message":{"role":"assistant","content":"4"},`, ""),
		"a stream's delta":         replaced("message", "delta"),
		"invalid UTF-8":            replaced("4", "\xff"),
		"half a character":         replaced("4", "\xf0\x9f"),
		"too long":                 replaced("4", strings.Repeat("x", MaxAnswer)),
		"too long to look at":      replaced("4", strings.Repeat("x", 3*MaxAnswer)),
		"too deep":                 replaced(`"4"`, strings.Repeat("[", 1000)+strings.Repeat("]", 1000)),
		"too many calls":           replaced(`"4"`, `"4","tool_calls":[`+strings.Repeat(`{"id":"1"},`, maxCalls)+`{"id":"1"}]`),
		"too many members":         replaced(`"4"`, `"4"`+manyMembers()),
	} {
		if a, ok := FromJSON(body); ok || a != (Answer{}) {
			t.Errorf("%s: %.200s", name, a.JSON())
		}
	}
}

func manyMembers() string {
	var b strings.Builder
	for i := range maxMembers {
		b.WriteString(`,"` + strings.Repeat("m", i+1) + `":1`)
	}
	return b.String()
}

func TestAnswer_gives_bytes_that_are_the_callers(t *testing.T) {
	a := mustAnswer(t, samples["text"])
	clear(a.JSON())
	clear(a.Stream(true))
	if string(a.JSON()) != samples["text"] {
		t.Errorf("it is %s now", a.JSON())
	}
}
