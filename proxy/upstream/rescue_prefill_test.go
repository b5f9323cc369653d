package upstream

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestPrefill_is_the_last_message_and_all_else_is_as_the_client_wrote_it(t *testing.T) {
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"Hi"}],"x":1E+2}`:   `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"a\nb"}],"x":1E+2}`,
		`{"messages": [ ] , "stream":true}`:                        `{"messages": [ {"role":"assistant","content":"a\nb"}] , "stream":true}`,
		`{"messages":[{"role":"user"}],"max_tokens":10}`:           `{"messages":[{"role":"user"},{"role":"assistant","content":"a\nb"}],"max_tokens":7}`,
		`{"messages":[{"role":"user"}],"max_completion_tokens":2}`: `{"messages":[{"role":"user"},{"role":"assistant","content":"a\nb"}],"max_completion_tokens":1}`,
		`{"messages":[{"role":"user"}],"max_tokens":null}`:         `{"messages":[{"role":"user"},{"role":"assistant","content":"a\nb"}],"max_tokens":null}`,
		`{"messages":[{"role":"user"},{"role":"assistant"}]}`:      "",
		`{"messages":"x"}`: "",
		`{}`:               "",
	} {
		if got := prefilled(body, `a\nb`, 3); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
	if got := prefilled(question, "", 0); got != "" {
		t.Errorf("nothing: %s", got)
	}
}

func TestPrefill_goes_to_whom_continues_it_under_its_model(t *testing.T) {
	up := newFake(t, reset(begun(4)))
	var second *fake
	other := counting
	other.name, other.usage = "other", 4
	second = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { other.goingOn(&second, false)(n, w, r) })
	o := rescueOptions(up.URL, second.URL)
	o.Upstreams[1].Prefill = true
	o.Routes[0].To[1].Model = "fallback"
	o.Tokens = func(model, text string) int {
		if model != "m" || text != "One two three," {
			t.Errorf("counted %q for %q", text, model)
		}
		return 100
	}
	p := newPool(t, o)
	_, body, answer := p.call(t, asking(strings.Replace(question, `"stream"`, `"max_tokens":150,"stream"`, 1)))
	got := readReply(t, body)
	if got.text != whole(counting) {
		t.Errorf("answer %q", got.text)
	}
	if want := `{"prompt_tokens":7,"completion_tokens":104,"total_tokens":111,"prompt_tokens_details":{"cached_tokens":3}}`; got.usage.Raw != want {
		t.Errorf("usage %s", got.usage.Raw)
	}
	if want := `{"model":"fallback","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Count."},{"role":"assistant","content":"One two three,"}]}`; second.seen()[0].body != want {
		t.Errorf("sent %s", second.seen()[0].body)
	}
	if trail := answer.Trail(); len(trail) != 2 || !trail[0].Billed || trail[0].Output != "One two three,\n\n" || !trail[1].Resume || trail[1].Billed || trail[1].Added != 100 {
		t.Errorf("trail %+v", trail)
	}
}

func TestPrefill_is_not_counted_where_nobody_takes_one(t *testing.T) {
	up, second := newFake(t, reset(begun(4))), newFake(t, counting.whole)
	o := rescueOptions(up.URL, second.URL)
	o.Upstreams[0].Prefill = true // it is not asked again
	o.Tokens = func(_, text string) int {
		t.Errorf("counted %q", text)
		return 0
	}
	if _, body, _ := newPool(t, o).call(t, asking(question)); readReply(t, body).text != whole(counting) {
		t.Errorf("answer %q", body)
	}
}

func TestPrefill_that_is_refused_is_asked_afresh_there(t *testing.T) {
	inBand := events(data(role), data(`{"error":{"type":"invalid_request_error","message":"no prefill"}}`))
	for name, refusal := range map[string]func(int, http.ResponseWriter, *http.Request){
		"400": status(400), "422": status(422), "in band": inBand,
	} {
		up := newFake(t, reset(begun(4)))
		var second *fake
		other := counting
		other.name, other.usage = "other", 4
		second = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if lastMessage(second.seen()[n-1].body) != "" {
				refusal(n, w, r)
				return
			}
			other.whole(n, w, r)
		})
		o := rescueOptions(up.URL, second.URL)
		o.Upstreams[1].Prefill = true
		o.Retry.Attempts = 1
		p := newPool(t, o)
		_, body, answer := p.call(t, asking(question))
		if got := readReply(t, body); got.text != whole(counting) || got.usage.Get("completion_tokens").Int() != 4 {
			t.Errorf("%s: %q, usage %s", name, got.text, got.usage)
		}
		calls := second.seen()
		if len(calls) != 2 || calls[1].body != question || answer.Attempts != 3 {
			t.Errorf("%s: %d calls, %d attempts", name, len(calls), answer.Attempts)
		}
		if trail := answer.Trail(); trail[0].Output != "One two three,\n\n" || !trail[0].Billed {
			t.Errorf("%s: trail %+v", name, trail)
		}
	}
}

func TestPrefill_is_not_asked_for_what_it_cannot_say(t *testing.T) {
	call := counting
	call.tools = []string{`{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"get","arguments":""}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}`}
	refusal := script{name: "r", tools: []string{`{"refusal":"I "}`, `{"refusal":"cannot."}`}}
	half := script{name: "h", tools: []string{`{"content":"x\ud83d"}`, `{"content":"\ude00 y"}`}}
	blank := script{name: "b", pieces: []string{" ", "\n", "x"}}
	for name, c := range map[string]struct {
		said script
		cut  int
		body string
	}{
		"a tool call":             {call, 9, question},
		"a refusal":               {refusal, 2, question},
		"half a character":        {half, 2, question},
		"white space":             {blank, 3, question},
		"a prefill of the client": {counting, 4, strings.Replace(question, `}]`, `},{"role":"assistant","content":"Well: "}]`, 1)},
	} {
		up := newFake(t, reset(strings.Join(c.said.events("")[:c.cut], "")))
		second := newFake(t, c.said.whole)
		o := rescueOptions(up.URL, second.URL)
		o.Upstreams[1].Prefill = true
		p := newPool(t, o)
		_, body, answer := p.call(t, asking(c.body))
		want, got := readReply(t, c.said.stream()), readReply(t, body)
		if got.text != want.text && name != "half a character" || got.refusal != want.refusal || got.arguments[0] != want.arguments[0] {
			t.Errorf("%s: %+v", name, got)
		}
		if sent := second.seen()[0].body; sent != c.body || answer.Attempts != 2 {
			t.Errorf("%s: sent %s", name, sent)
		}
	}
}

func TestPrefill_loses_no_text_that_only_seems_to_be_told_again(t *testing.T) {
	for name, c := range map[string]struct{ told, more []string }{
		"the beginning":    {[]string{"ha", "ha", " "}, []string{"ha", "!"}},
		"up to the end":    {[]string{"abc"}, []string{"ab"}},
		"a call after it":  {[]string{"abc"}, []string{"ab"}},
		"space of its own": {[]string{"a:", "\n\n"}, []string{"\n", "b"}},
		"no space":         {[]string{"a:", "\n\n"}, []string{"b"}},
		"nothing":          {[]string{"all"}, nil},
	} {
		first, more := script{name: "first", pieces: c.told}, script{name: "more", pieces: c.more}
		if name == "a call after it" {
			more.tools = []string{`{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"get","arguments":"{}"}}]}`}
		}
		up, second := newFake(t, reset(strings.Join(first.events("")[:1+len(c.told)], ""))), newFake(t, more.whole)
		o := rescueOptions(up.URL, second.URL)
		o.Upstreams[1].Prefill = true
		_, body, _ := newPool(t, o).call(t, asking(question))
		want := strings.Join(c.told, "") + strings.Join(c.more, "")
		switch name {
		case "the beginning":
			want = "haha ha!"
		case "space of its own":
			want = "a:\n\nb"
		}
		if got := readReply(t, body); got.text != want || len(got.names) != len(more.tools) {
			t.Errorf("%s: %q, calls %v", name, got.text, got.names)
		}
	}
}

func TestPrefill_counts_within_what_is_waited_for_a_retry(t *testing.T) {
	up, second := newFake(t, events(begun(4), 50*time.Millisecond, errCut)), newFake(t, counting.whole)
	o := rescueOptions(up.URL, second.URL)
	o.Retry.Within = 40 * time.Millisecond // since the break, not since the call
	_, body, _ := newPool(t, o).call(t, asking(question))
	if got := readReply(t, body); got.text != whole(counting) || gjson.Get(got.events[0], "model").Str != "model-first" {
		t.Errorf("answer %q", got.text)
	}
}
