package answercache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // it tells of each connection that fails
	goleak.VerifyTestMain(m)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// samples are answers that differ in what they say, in canonical form.
var samples = map[string]string{
	"text": completion(`{"index":0,"message":{"role":"assistant","content":"Hello, Ada. ` + strings.Repeat("A word and ", 40) +
		`that is all.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}`),
	"a short text": completion(`{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop"}`),
	"cut at the limit": completion(`{"index":0,"message":{"role":"assistant","content":"Once upon","refusal":null},` +
		`"logprobs":null,"finish_reason":"length"}`),
	"escapes": completion(`{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat(`\"quoted\" \\ \n\t\/ \u00e9 \uD83D\uDE00 \ud83d\ude00 é 😀 `, 9) + `"},"finish_reason":"stop"}`),
	"surrogates alone": completion(`{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat(`\ud83d \ude00 \ud83d\n\ud83d\u0041`, 9) + `"},"finish_reason":"stop"}`),
	"a refusal": completion(`{"index":0,"message":{"role":"assistant","content":null,"refusal":"` +
		strings.Repeat("I cannot help with that. ", 8) + `"},"logprobs":null,"finish_reason":"stop"}`),
	"tool calls": completion(`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[` +
		`{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\",\"note\":\"` +
		strings.Repeat("long ", 30) + `\"}"}},` +
		`{"id":"call_2","type":"function","function":{"name":"now","arguments":""}}]},"logprobs":null,"finish_reason":"tool_calls"}`),
	"text and a call": completion(`{"index":0,"message":{"role":"assistant","content":"Let me see.","tool_calls":[` +
		`{"id":"call_1","type":"function","function":{"name":"now","arguments":"{}"},` +
		`"extra_content":{"google":{"thought_signature":"c2ln"}}}]},"finish_reason":"tool_calls"}`),
	"a custom tool": completion(`{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[` +
		`{"id":"call_1","type":"custom","custom":{"name":"sql","input":"select * from cities where name = 'Oslo' and country = 'Norway' limit 1"}}]},` +
		`"finish_reason":"tool_calls"}`),
	"a function of old": completion(`{"index":0,"message":{"role":"assistant","content":null,"function_call":` +
		`{"name":"now","arguments":"{\"zone\":\"` + strings.Repeat("Europe/Oslo ", 9) + `\"}"}},"finish_reason":"function_call"}`),
	"two choices": completion(`{"index":0,"message":{"role":"assistant","content":"Heads."},"logprobs":null,"finish_reason":"stop"},` +
		`{"index":1,"message":{"role":"assistant","content":"Tails."},"logprobs":null,"finish_reason":"length"}`),
	"log probabilities": completion(`{"index":0,"message":{"role":"assistant","content":"Yes` + strings.Repeat(" and no", 20) +
		`","refusal":null},"logprobs":{"content":[` + token("Yes") + strings.Repeat(","+token(" and")+","+token(" no"), 20) +
		`],"refusal":null},"finish_reason":"stop"}`),
	"log probabilities of nothing": completion(`{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[` +
		`{"id":"call_1","type":"function","function":{"name":"now","arguments":"{}"}}]},` +
		`"logprobs":{"content":[` + token("{}") + `],"refusal":[],"top":2},"finish_reason":"tool_calls"}`),
	"log probabilities that are null": completion(`{"index":0,"message":{"role":"assistant","content":"4"},` +
		`"logprobs":{"content":null,"refusal":null},"finish_reason":"stop"}`),
	"what nobody knows": completion(`{"index":0,"message":{"role":"assistant","content":"4","refusal":null,` +
		`"function_call":null,"reasoning_content":"2 and 2","annotations":[{"type":"url_citation","url_citation":{"url":"a"}}],"depth":3,"deep":{"a":[1]}},` +
		`"finish_reason":"stop","stop_reason":"</s>","content_filter_results":{"hate":{"filtered":false}}}`),
	"no usage and less": `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop"}]}`,
	"more above":        strings.TrimSuffix(completion(`{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop"}`), "}") + `,"provider":"x","citations":["a","b"],"moderation":null}`,
}

func completion(choices string) string {
	return `{"id":"chatcmpl-1","object":"chat.completion","created":1759900000,"model":"gpt-4o-2024-08-06","choices":[` + choices +
		`],"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":4}},` +
		`"service_tier":"default","system_fingerprint":"fp_1"}`
}

func token(text string) string {
	return fmt.Sprintf(`{"token":%q,"logprob":-0.25,"bytes":[89],"top_logprobs":[{"token":%q,"logprob":-0.25,"bytes":null}]}`, text, text)
}

// stream is the body of a streamed answer with those chunks.
func stream(chunks ...string) []byte {
	var b strings.Builder
	for _, chunk := range chunks {
		b.WriteString("data: " + chunk + "\n\n")
	}
	return []byte(b.String())
}

func chunk(choices string) string {
	return `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1759900000,"model":"gpt-4o","choices":[` + choices + `]}`
}

func delta(members string) string {
	return chunk(`{"index":0,"delta":{` + members + `},"finish_reason":null}`)
}

func finish(reason string) string {
	return chunk(`{"index":0,"delta":{},"finish_reason":"` + reason + `"}`)
}

func mustAnswer(t testing.TB, body string) Answer {
	t.Helper()
	a, ok := FromJSON(body)
	if !ok {
		t.Fatalf("no answer in %s", body)
	}
	return a
}

// randomCompletion is an answer as some upstream might give it, in canonical form.
func randomCompletion(r *rand.Rand) string {
	var choices []string
	for i := range 1 + r.IntN(3) {
		choices = append(choices, randomChoice(r, i))
	}
	return completion(strings.Join(choices, ","))
}

func randomChoice(r *rand.Rand, index int) string {
	message := `"role":"assistant","content":` + pick(r, "null", `"`+randomText(r)+`"`)
	message += pick(r, "", `,"refusal":null`, `,"refusal":"`+randomText(r)+`"`)
	var calls []string
	for i := range r.IntN(4) {
		kind, input := "function", "arguments"
		if r.IntN(4) == 0 {
			kind, input = "custom", "input"
		}
		calls = append(calls, fmt.Sprintf(`{"id":"call_%d","type":%q,%q:{"name":"f","%s":"%s"}}`, i, kind, kind, input, randomText(r)))
	}
	if len(calls) == 0 {
		message += `,"function_call":{"name":"f","arguments":"x` + randomText(r) + `"}`
	} else {
		message += `,"tool_calls":[` + strings.Join(calls, ",") + `]`
	}
	message += pick(r, "", `,"reasoning":"`+randomText(r)+`"`, `,"annotations":[]`, `,"flag":true`)
	tokens := make([]string, r.IntN(20))
	for i := range tokens {
		tokens[i] = token(strings.Repeat("x", r.IntN(30)))
	}
	return fmt.Sprintf(`{"index":%d,"message":{%s}%s,"finish_reason":"stop"%s}`, index, message,
		pick(r, "", `,"logprobs":null`, `,"logprobs":{"content":[`+strings.Join(tokens, ",")+`],"refusal":null}`,
			`,"logprobs":{"content":null,"refusal":[`+strings.Join(tokens, ",")+`]}`), pick(r, "", `,"stop_reason":7`))
}

func randomText(r *rand.Rand) string {
	units := [...]string{"a", " ", "é", "😀", `\n`, `\"`, `\\`, `\u00e9`, `\ud83d`, `\uDE00`, `\ud83d\ude00`, "日本", "word", ":"}
	var b strings.Builder
	for range r.IntN(200) {
		b.WriteString(units[r.IntN(len(units))])
	}
	return b.String()
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
