package answercache

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func FuzzFromStream(f *testing.F) {
	// Short ones: what is found is made smaller, which takes a long stream minutes.
	f.Add(mustAnswer(f, samples["no usage and less"]).Stream(true))
	f.Add(stream(delta(`"content":"4","x":[1]`), finish("stop"), "[DONE]"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\ud83d\"}}]}}]}\r\n\r\n" +
		"data:{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\ude00\"}}]},\"finish_reason\":\"stop\"}]}\r\n\r\n"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"refusal\":\"No\"},\"logprobs\":{\"refusal\":[{\"token\":\"No\"}]},\"finish_reason\":\"length\"}]}\r\r"))
	f.Fuzz(func(t *testing.T, sse []byte) {
		a, ok := FromStream(sse)
		if ok {
			checkAnswer(t, a)
		}
		if a, ok = FromJSON(string(sse)); ok {
			checkAnswer(t, a)
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	for _, body := range samples {
		if len(body) < 1000 {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		if a, ok := FromJSON(body); ok {
			checkAnswer(t, a)
		}
	})
}

func FuzzKeyOf(f *testing.F) {
	f.Add("shop", asks, uint(7))
	f.Add("", `{"tools":[{"b":1,"a":{"\u0061":[1,2.5e-3,true,null]}}],"x":"\"\\\ud83d"}`, uint(3))
	f.Fuzz(func(t *testing.T, tenant, body string, at uint) {
		key, ok := KeyOf(tenant, body)
		if !ok {
			return
		}
		if !gjson.Valid(body) {
			t.Fatalf("%q has a key", body)
		}
		if again, ok := KeyOf(tenant, "\t"+strings.TrimSpace(body)+"\n"); !ok || again != key {
			t.Errorf("white space around %q makes another key", body)
		}
		if other, _ := KeyOf(tenant+"x", body); other == key {
			t.Errorf("two tenants have the key of %q", body)
		}
		at %= uint(len(body))
		if cut := body[:at]; gjson.Valid(cut) {
			return // only white space was cut
		} else if _, ok := KeyOf(tenant, cut); ok {
			t.Errorf("%q has a key", cut)
		}
	})
}

// checkAnswer checks an answer of which nothing is known.
func checkAnswer(t *testing.T, a Answer) {
	t.Helper()
	body := string(a.JSON())
	if !gjson.Valid(body) {
		t.Fatalf("no JSON: %q", body)
	}
	if again, ok := FromJSON(body); !ok || again != a {
		t.Fatalf("%t: read again, %q is %q", ok, body, again.JSON())
	}
	back, ok := FromStream(a.Stream(true))
	if !ok || back != a {
		t.Fatalf("%t: streamed, %q is %q", ok, body, back.JSON())
	}
}
