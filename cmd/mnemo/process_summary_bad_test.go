package main

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

const (
	// spoilt is in the text of each bad answer.
	spoilt   = "Spoilt"
	skeleton = "The user and the assistant talked."

	badBudget = 1000 // tokens
	// recordGroups is how many groups have room where the first record stands.
	recordGroups = 2
)

// Whatever comes in place of a summary, prompts are those of strategy trim, to the
// byte, until a good one has come. From then on they hold it, or a later good one,
// and beside it as much as trimming to the rest of the budget leaves: together they
// tell of no fewer groups than a trimmed prompt.
func TestMnemo_prompts_are_never_worse_for_a_bad_summary(t *testing.T) {
	phases := []int{22, 12, 12} // groups; each ends with the process, which forgets its pauses
	s := &spoiler{rng: rand.New(rand.NewPCG(7, 7)), outcomes: map[string]int{}}
	up, plain := newScribe(t, s.answer), newScribe(t, s.answer)
	o, trim := up.setup(sqliteBackend(t), badBudget, 300, ", timeout: 3s"), plain.setup(sqliteBackend(t), badBudget, 300, "")
	o.file += "breaker: {consecutive: 1000, min_calls: 1000}\n"
	o.environ = []string{"MNEMO_RETRIES=0"}
	trim.args = append(trim.args, "--strategy", "trim")
	trimming := serve(t, trim)
	talks := make([]*rivalry, 14)
	for i := range talks {
		talks[i] = &rivalry{rng: rand.New(rand.NewPCG(7, uint64(i)))}
		talks[i].session = fmt.Sprint("s", i)
	}
	outcomes := map[string]int{}
	for phase, groups := range phases {
		m := serve(t, o)
		t.Run(fmt.Sprint("phase ", phase), func(t *testing.T) {
			for _, talk := range talks {
				t.Run(talk.session, func(t *testing.T) {
					t.Parallel()
					for range groups {
						talk.goesOn(t, m, trimming, up, plain, s)
					}
				})
			}
		})
		m.terminate(t)
		if code := m.wait(t); code != exitOK {
			t.Fatalf("exits with %d; its log:\n%s", code, m.log)
		}
		for _, line := range m.log.all(`"msg":"summary"`) {
			outcomes[gjson.Get(line, "reason").String()]++
		}
	}
	s.report(t, outcomes, talks)
}

// No call waits for a summary: all of these end while none comes.
func TestMnemo_never_waits_for_a_summary(t *testing.T) {
	const groups = 30
	release, s := make(chan struct{}), &spoiler{outcomes: map[string]int{}}
	up := newScribe(t, func(w http.ResponseWriter, r *http.Request, shown string) {
		<-release
		s.answer(w, r, shown)
	})
	m := serve(t, up.setup(sqliteBackend(t), badBudget, 300, ", timeout: 10m"))
	talks := make([]*rivalry, 8) // more than are summarised at once
	t.Run("meanwhile", func(t *testing.T) {
		for i := range talks {
			talks[i] = &rivalry{rng: rand.New(rand.NewPCG(8, uint64(i)))}
			talks[i].session = fmt.Sprint("s", i)
			t.Run(talks[i].session, func(t *testing.T) {
				t.Parallel()
				for range groups {
					if c := talks[i].remarks(t, m, up, talks[i].next(), "", i%2 == 0)[0]; c.record != "" || (c.state == "pending") != (c.first > 0) {
						t.Errorf("nobody wrote what is in %s, which is called %s", c.body, c.state)
					}
				}
			})
		}
	})
	if len(s.good) > 0 {
		t.Error("summaries were written")
	}
	close(release)
	m.log.waitAll(t, `"reason":"done"`, len(talks))
	for _, talk := range talks {
		if c := talk.remarks(t, m, up, talk.next(), "", false)[0]; c.record == "" {
			t.Errorf("the summary of %s is not used", talk.session)
		}
	}
}

// A rivalry is a dialogue that is had twice, with a process that summarises and
// with one that trims.
type rivalry struct {
	dialogue
	other dialogue
	rng   *rand.Rand

	record        string // in the last prompt
	calls, behind int    // all; those that lack a group that is sent when it is only trimmed
}

// goesOn makes the next remark to both, and compares.
func (v *rivalry) goesOn(t *testing.T, m, trimming *mnemo, up, plain *scribe, s *spoiler) {
	t.Helper()
	v.other.session = v.session
	text, stream := v.next(), len(v.groups)%2 == 0
	c := v.remarks(t, m, up, text, "", stream)[0]
	other := v.other.remarks(t, trimming, plain, text, "", stream)[0]
	for _, bad := range []string{spoilt, skeleton, "sorry"} {
		if strings.Contains(c.body, bad) {
			t.Errorf("%q is in %s", bad, c.body)
		}
	}
	v.calls++
	next := groupOf(codeIn(c.record)) + 1
	switch {
	case c.record == "":
		if v.record != "" || c.body != other.body {
			t.Errorf("without a summary, but after %q, this is sent: %s\ntrimmed, it is %s", v.record, c.body, other.body)
		}
	case !s.wrote(c.record) || next < groupOf(codeIn(v.record))+1:
		t.Errorf("after %q this is sent: %s", v.record, c.body)
	case c.first < next || c.state != map[bool]string{true: "pending", false: "used"}[c.first > next]:
		t.Errorf("the record ends before group %d, %d is the first that is sent, and the summary is called %s", next, c.first, c.state)
	case c.state == "pending" && c.tokens < badBudget/2:
		t.Errorf("%d tokens of %d are used", c.tokens, badBudget)
	}
	if c.first > max(next, other.first) {
		v.behind++
	}
	if known, trimmed := next+len(v.groups)-c.first, len(v.groups)-other.first; c.record != "" && known+recordGroups < trimmed {
		t.Errorf("of %d groups it tells of %d, trimmed of %d", len(v.groups), known, trimmed)
	}
	v.record = c.record
}

// next is a remark of which every second names an order.
func (v *rivalry) next() string {
	g := len(v.groups)
	text, _ := remarkAbout(g-g%7, nil, v.rng) // no tools
	text = strings.Replace(text, codeOf(g-g%7), codeOf(g)+" of "+v.session, 1)
	if g%2 == 0 {
		text += fmt.Sprintf(" The order is ORD-%d.", 1000+v.rng.IntN(9000))
	}
	return text
}

var orders = regexp.MustCompile(`ORD-\d+`)

// A spoiler writes good summaries and, if it throws dice, bad answers too, each of
// them in its turn.
type spoiler struct {
	mu       sync.Mutex
	rng      *rand.Rand
	bad      int
	good     []string
	outcomes map[string]int // what is to become of the answers
}

func (s *spoiler) answer(w http.ResponseWriter, r *http.Request, shown string) {
	var named []string
	for _, order := range orders.FindAllString(shown, -1) {
		if !slices.Contains(named, order) {
			named = append(named, order)
		}
	}
	good := fmt.Sprintf("They spoke of the orders %s. Up to remark %s.", strings.Join(named, ", "), codeIn(shown))
	s.mu.Lock()
	if s.rng == nil || s.rng.IntN(5) < 2 {
		s.good = append(s.good, good)
		s.outcomes["done"]++
		s.mu.Unlock()
		writeSummary(w, good)
		return
	}
	bad := badAnswers[s.bad%len(badAnswers)]
	s.bad++
	s.outcomes[bad.outcome]++
	s.mu.Unlock()
	bad.give(w, r, good)
}

func (s *spoiler) wrote(record string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.good, record)
}

// report checks what became of the answers.
func (s *spoiler) report(t *testing.T, outcomes map[string]int, talks []*rivalry) {
	t.Helper()
	if s.bad < len(badAnswers) {
		t.Errorf("only %d of %d bad answers were given", s.bad, len(badAnswers))
	}
	if !maps.Equal(outcomes, s.outcomes) {
		t.Errorf("the outcomes were %v, want %v", outcomes, s.outcomes)
	}
	var calls, behind, records int
	for _, v := range talks {
		calls, behind = calls+v.calls, behind+v.behind
		if v.record != "" {
			records++
		}
	}
	if records == 0 {
		t.Error("no session has a summary")
	}
	t.Logf("%v; %d of %d sessions have a summary; %d of %d calls lack a group that trimming sends", outcomes, records, len(talks), behind, calls)
}

// badAnswers are what can come in place of a summary, and what that is called.
var badAnswers = []struct {
	outcome string
	give    func(w http.ResponseWriter, r *http.Request, good string)
}{
	{"error", failure(http.StatusInternalServerError)},
	{"error", failure(http.StatusServiceUnavailable)},
	{"error", failure(http.StatusTooManyRequests)},
	{"error", failure(http.StatusBadRequest)},
	{"error", failure(http.StatusUnauthorized)},
	{"error", page("<html>" + spoilt + "</html>")},
	{"error", page(`{"choices":[{"message":{"content":"` + spoilt)},
	{"error", cutAnswer("4000")},
	{"error", cutAnswer("")}, // in chunks
	{"error", page("data: " + summaryJSON(`"content":"`+spoilt+`"`, "stop") + "\n\ndata: [DONE]\n\n")},
	{"timeout", func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }},
	{"empty", func(w http.ResponseWriter, _ *http.Request, _ string) { writeSummary(w, "") }},
	{"empty", func(w http.ResponseWriter, _ *http.Request, _ string) { writeSummary(w, " \n<think>"+spoilt) }},
	{"empty", page(`{"error":{"message":"` + spoilt + `"}}`)},
	{"empty", page(`{"choices":[]}`)},
	{"implausible", func(w http.ResponseWriter, _ *http.Request, _ string) { writeSummary(w, skeleton) }},
	{"implausible", func(w http.ResponseWriter, _ *http.Request, _ string) {
		writeSummary(w, strings.Repeat("They spoke of "+strings.ToLower(spoilt)+" orders. "+spoilt+". ", 4))
	}},
	{"over_long", func(w http.ResponseWriter, _ *http.Request, good string) {
		writeSummary(w, good+strings.Repeat(" "+spoilt+" and more.", 200))
	}},
	{"refused", finished(`"content":null,"refusal":"`+spoilt+`"`, "stop")},
	{"refused", finished(`"content":"`+spoilt+`"`, "content_filter")},
	{"refused", finished(`"content":"I'm sorry, I can't help with that."`, "stop")},
	{"cut", func(w http.ResponseWriter, _ *http.Request, good string) {
		fmt.Fprint(w, summaryJSON(`"content":`+quoted(good+spoilt), "length"))
	}},
}

func failure(status int) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":%q,"type":"t","param":null,"code":%d}}`, spoilt, cmp.Or(status, 1))
	}
}

// cutAnswer breaks the connection behind what looks whole.
func cutAnswer(length string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, good string) {
		if length != "" {
			w.Header().Set("Content-Length", length)
		}
		fmt.Fprint(w, summaryJSON(`"content":`+quoted(good+spoilt), "stop"))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func page(text string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, text) }
}

func finished(members, finish string) func(http.ResponseWriter, *http.Request, string) {
	return page(summaryJSON(members, finish))
}
