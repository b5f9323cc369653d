package upstream

import (
	"net/http"
	"strings"
	"testing"
)

// What is billed is what the attempts wrote: the usage that the client gets, less what
// it counts of others, and the outputs of the trail.
func TestBill_counts_what_every_attempt_wrote_once(t *testing.T) {
	four := []string{"aaaa", "bbbb", "cccc", "dddd"}
	for name, c := range map[string]struct {
		kinds   string // of the attempts: p with prefill, a afresh, d differs
		want    string // outputs
		written int
	}{
		"afresh":                 {"aa", "aaaa|", 5},
		"continued":              {"ap", "aaaa|", 4},
		"continued twice":        {"app", "aaaa|bbbb|", 4},
		"afresh twice":           {"aaa", "aaaa|aaaabbbb|", 7},
		"continued, then afresh": {"apa", "aaaa|bbbb|", 6},
		"afresh, then continued": {"aap", "aaaa|aaaabbbb|", 5},
		"one differs":            {"ada", "aaaa|axxx|", 6},
	} {
		ups, urls := make([]*fake, len(c.kinds)), make([]string, len(c.kinds))
		for i := range ups {
			ups[i] = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
				s := script{name: "x", pieces: four, usage: 4}
				told := lastMessage(ups[i].seen()[n-1].body)
				s.usage -= len(told) / 4
				all := s.events(told)
				switch {
				case c.kinds[i] == 'd':
					s.pieces = []string{"axxx", "yyyy"}
					all = s.events("")
				case i < len(ups)-1:
					written := 1
					for _, kind := range c.kinds[:i] {
						if c.kinds[i] == 'a' && kind != 'd' {
							written++
						}
					}
					all = all[:1+written]
				}
				events(strings.Join(all, ""))(n, w, r)
			})
			urls[i] = ups[i].URL
		}
		o := rescueOptions(urls...)
		for i, kind := range c.kinds {
			o.Upstreams[i].Prefill = kind == 'p'
		}
		_, body, answer := newPool(t, o).call(t, asking(question))
		got := readReply(t, body)
		var outputs []string
		written := int(got.usage.Get("completion_tokens").Int())
		for i, a := range answer.Trail() {
			outputs = append(outputs, a.Output)
			written += len(a.Output)/4 - a.Added
			if last := i == len(ups)-1; a.Billed == last || a.Answered != last || a.Resume != (i > 0) {
				t.Errorf("%s: attempt %d: %+v", name, i, a)
			}
		}
		if joined := strings.Join(outputs, "|"); joined != c.want || written != c.written || got.text != strings.Join(four, "") {
			t.Errorf("%s: outputs %s, %d written, usage %s, text %q", name, joined, written, got.usage, got.text)
		}
	}
}

func TestBill_of_a_stream_that_nobody_went_on_with_is_that_of_its_answer(t *testing.T) {
	up, second := newFake(t, reset(begun(4))), newFake(t, status(http.StatusBadGateway))
	p := newPool(t, rescueOptions(up.URL, second.URL))
	answer, err := p.Do(t.Context(), asking(question))
	if err != nil {
		t.Fatal(err)
	}
	drain(answer.Body, make([]byte, 999))
	answer.Finish(Cut)
	for i, a := range answer.Trail() {
		if a.Billed || a.Answered != (i == 0) || a.Output != "" || a.Resume != (i > 0) {
			t.Errorf("attempt %d: %+v", i, a)
		}
	}
}
