package upstream

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"testing"
)

// shuffled are the events that tell each text under its name, in pieces and an order of
// their own.
func shuffled(random *rand.Rand, id string, texts map[string]string) (all []any) {
	chunk := func(delta, finish string) {
		all = append(all, data(`{"id":"`+id+`","choices":[{"index":0,"delta":`+delta+`,"finish_reason":`+finish+`}]}`))
	}
	chunk(`{"role":"assistant"}`, "null")
	told := map[string]int{}
	for names := []string{"content", "refusal", "0", "1"}; len(names) > 0; {
		at := random.IntN(len(names))
		name := names[at]
		piece := texts[name][told[name]:]
		piece = piece[:random.IntN(len(piece)+1)]
		switch {
		case name == "content" || name == "refusal":
			chunk(`{"`+name+`":"`+piece+`"}`, "null")
		case told[name] == 0: // some tell it again until there is an argument
			chunk(`{"tool_calls":[{"index":`+name+`,"id":"`+id+name+`","type":"function","function":{"name":"f`+name+`","arguments":"`+piece+`"}}]}`, "null")
		default:
			chunk(`{"tool_calls":[{"index":`+name+`,"function":{"arguments":"`+piece+`"}}]}`, "null")
		}
		if told[name] += len(piece); told[name] == len(texts[name]) {
			names = append(names[:at], names[at+1:]...)
		}
	}
	chunk(`{}`, `"tool_calls"`)
	return append(all, data("[DONE]"))
}

// Whatever the order in which providers tell texts and calls: the client gets each of
// them whole and once, a call under the id that it had first.
func TestRescue_delivers_every_field_once(t *testing.T) {
	var streams [3][]any
	var urls []string
	for i := range streams {
		up := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { events(streams[i]...)(n, w, r) })
		urls = append(urls, up.URL)
	}
	o := rescueOptions(urls...)
	o.Breaker = Breaker{Consecutive: 1 << 30, FailureRatio: 2}
	p := newPool(t, o)
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 3))
		texts := map[string]string{}
		for _, name := range []string{"content", "refusal", "0", "1"} {
			for range 1 + random.IntN(12) {
				texts[name] += string("ab"[random.IntN(2)])
			}
		}
		for i := range streams {
			streams[i] = shuffled(random, fmt.Sprint("u", i, "-"), texts)
			if i < len(streams)-1 {
				streams[i] = streams[i][:1+random.IntN(len(streams[i])-2)]
			}
		}
		_, body, _ := p.call(t, asking(question))
		got := readReply(t, body)
		if got.text != texts["content"] || got.refusal != texts["refusal"] || got.finish != "tool_calls" {
			t.Fatalf("seed %d: %q, %q, want %v", seed, got.text, got.refusal, texts)
		}
		for i := range int64(2) {
			name := strconv.FormatInt(i, 10)
			if got.arguments[i] != texts[name] || got.names[i] != "f"+name || !regexp.MustCompile(`^u[012]-`+name+`$`).MatchString(got.ids[i]) {
				t.Fatalf("seed %d: call %s %q(%q), want %v", seed, got.ids[i], got.names[i], got.arguments[i], texts)
			}
		}
	}
}
