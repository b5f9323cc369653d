package memory

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// summarised is a session of n turns, u1 a1 and so on, of which a summary of so
// many tokens covers the first ones.
func summarised(t testing.TB, n int, at Position, tokens int) *Session {
	t.Helper()
	s := exchange(t, n)
	s.Summary = &Summary{Version: 1, Text: "they spoke of shoes", Tokens: tokens, UpTo: at.UpTo, Left: at.Left}
	for i := range at.UpTo {
		turn := s.Turns[i]
		if turn.Seq == at.UpTo {
			turn.Messages = turn.Messages[:len(turn.Messages)-at.Left]
		}
		s.Summary.Covered.Add(&turn)
	}
	return s
}

func TestCompose_puts_the_summary_in_place_of_what_it_covers(t *testing.T) {
	s := summarised(t, 40, Position{UpTo: 30}, 30)
	s.System = `[{"role":"system","content":"be kind"},{"role":"developer","content":[{"type":"text","text":"be brief"}]}]`
	p := Policy{Strategy: Summarize, Budget: 500}
	prompt := compose(s, asking(t, "u99"), p, nil)
	var rest []Message
	for _, turn := range s.Turns[30:] {
		rest = append(rest, turn.Messages...)
	}
	if got, want := words(sent(&prompt)), words(rest)+" u99"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got := prompt.System[0].Raw; got != `{"role":"system","content":"be kind"}` {
		t.Errorf("the first instruction became %s", got)
	}
	last := prompt.System[1].Raw
	if !strings.HasPrefix(last, `{"role":"developer","content":[{"type":"text","text":"be brief"},{"type":"text","text":"`) ||
		!strings.Contains(last, "they spoke of shoes") {
		t.Errorf("the last instruction became %s", last)
	}
	if prompt.Summary != SummaryUsed || prompt.Fold != (Position{}) || prompt.Dropped != 30 {
		t.Errorf("%+v", prompt)
	}
	for _, other := range []Policy{{}, {Strategy: Window, Window: 40}, {Strategy: Summarize, Budget: 2000}} {
		prompt := compose(s, asking(t, "u7"), other, nil)
		if prompt.Groups != 40 || prompt.Summary != SummaryNone || strings.Contains(prompt.System[1].Raw, "shoes") {
			t.Errorf("%+v: %d groups, summary %d", other, prompt.Groups, prompt.Summary)
		}
	}
}

func TestCompose_adds_the_summary_to_any_kind_of_instruction(t *testing.T) {
	s := summarised(t, 40, Position{UpTo: 30}, 9)
	s.Summary.Text = "said \"so\"\n\U0001F600"
	for raw, want := range map[string]string{
		`{"role":"system","content":"be \"kind\""}`:           `{"role":"system","content":"be \"kind\"\n\n`,
		`{"content":"","role":"system"}`:                      `{"content":"`,
		`{"role":"system","content":[]}`:                      `{"role":"system","content":[{"type":"text","text":"`,
		`{"role":"system","content":null}`:                    `{"role":"system","content":"`,
		`{"role":"system"}`:                                   `{"role":"system","content":"`,
		`{"role":"system","content":"a","content":"b"}`:       `{"role":"system","content":"`,
		`{"role":"system","content":"\"content\" is a word"}`: `{"role":"system","content":"\"content\" is a word\n\n`,
	} {
		m, err := ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		in := asking(t, "u3")
		in.System = []Message{m}
		prompt := compose(s, in, Policy{Strategy: Summarize, Budget: 500}, nil)
		last := prompt.System[len(prompt.System)-1]
		read, err := ParseMessage(last.Raw)
		if err != nil || !strings.HasPrefix(last.Raw, want) || !strings.Contains(text(gjson.Get(read.Raw, "content")), s.Summary.Block()) {
			t.Errorf("%s became %s, want it to begin with %s and to end with the summary", raw, last.Raw, want)
		}
		if in.System[0].Raw != raw {
			t.Errorf("the request's own instruction was changed to %s", in.System[0].Raw)
		}
	}
}

func TestCompose_asks_for_a_summary_of_what_it_leaves_out(t *testing.T) {
	for name, test := range map[string]struct {
		turns []string
		at    Position
		want  Position
		sent  string
	}{
		"nothing left out":        {turns: []string{"u1 a1", "u2 a2"}, sent: "u1 a1 u2 a2 u9"},
		"whole turns":             {turns: []string{"u1 a1", "u2*70 a2", "u3 a3"}, want: Position{UpTo: 2}, sent: "u3 a3 u9"},
		"a part of a turn":        {turns: []string{"u1 a1 u2*70 a2 u3 a3"}, want: Position{UpTo: 1, Left: 2}, sent: "u3 a3 u9"},
		"a group over two turns":  {turns: []string{"u1 a1", "u2*70 c:x", "t:x a2", "u3 a3"}, want: Position{UpTo: 3}, sent: "u3 a3 u9"},
		"more than is summarised": {turns: []string{"u1 a1", "u2*70 a2", "u3 a3"}, at: Position{UpTo: 1}, want: Position{UpTo: 2}, sent: "u3 a3 u9"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := session(t, test.turns...)
			if test.at.UpTo > 0 {
				covered := s.Turns[0]
				s.Summary = &Summary{UpTo: 1, Tokens: 10, Text: "x"}
				s.Summary.Covered.Add(&covered)
			}
			prompt := compose(s, asking(t, "u9"), Policy{Strategy: Summarize, Budget: 100}, nil)
			if got := words(sent(&prompt)); got != test.sent || prompt.Fold != test.want {
				t.Errorf("sent %q, want %q; fold %+v, want %+v", got, test.sent, prompt.Fold, test.want)
			}
			if pending := test.want != (Position{}); pending != (prompt.Summary == SummaryPending) {
				t.Errorf("summary state %d", prompt.Summary)
			}
		})
	}
}

func TestCompose_does_without_a_summary_that_takes_too_much(t *testing.T) {
	s := summarised(t, 6, Position{UpTo: 4}, 60)
	prompt := compose(s, asking(t, "u7"), Policy{Strategy: Summarize, Budget: 110}, nil)
	trimmed := compose(s, asking(t, "u7"), Policy{Budget: 110}, nil)
	if words(prompt.History) != words(trimmed.History) || len(prompt.System) != 0 {
		t.Errorf("sent %q with %d instructions, want what trimming sends, %q", words(prompt.History), len(prompt.System), words(trimmed.History))
	}
	if prompt.Fold != (Position{}) {
		t.Errorf("fold %+v though a longer summary is there", prompt.Fold)
	}
}

func TestCompose_with_a_summary_keeps_the_budget_and_the_prefix(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := Policy{Strategy: Summarize, Budget: 100 + r.IntN(300)}
		s, before := &Session{}, ""
		for i := range 80 {
			question := script(t, fmt.Sprintf("u%d*%d", i, 1+r.IntN(30)))
			prompt := compose(s, &Incoming{Messages: question}, p, &Counter{})
			total := priming + question[0].Tokens
			for _, m := range prompt.History {
				total += m.Tokens
			}
			if prompt.Summary != SummaryNone && s.Summary != nil {
				total += s.Summary.Tokens
			}
			if total > p.Budget {
				t.Fatalf("history %d, call %d: %d tokens sent, the budget is %d", seed, i, total, p.Budget)
			}
			if now := words(prompt.History); prompt.Summary != SummaryPending && !strings.HasPrefix(now, before) && s.Summary == nil {
				t.Fatalf("history %d, call %d: %q does not begin with %q", seed, i, now, before)
			}
			before = words(prompt.History)
			if prompt.Fold != (Position{}) && r.IntN(3) > 0 { // the summary comes in time
				grown := -1
				if s.Summary != nil && prompt.Summary != SummaryNone {
					grown -= s.Summary.Tokens
				}
				fold(s, prompt.Fold, 1+r.IntN(p.Budget/4))
				fits := total+grown+1+s.Summary.Tokens <= p.Budget // else it takes room that was used
				next := compose(s, &Incoming{Messages: question}, p, nil)
				if fits && (!strings.HasSuffix(words(next.History), before) || next.Fold != (Position{})) {
					t.Fatalf("history %d, call %d: with the summary %q is sent, %q before, fold %+v", seed, i, words(next.History), before, next.Fold)
				}
			}
			addTurn(s, append(question, script(t, fmt.Sprintf("a%d*%d", i, 1+r.IntN(40)))...))
		}
	}
}

func TestCompose_for_one_call_keeps_no_less_with_more_budget(t *testing.T) {
	s := summarised(t, 30, Position{UpTo: 20}, 90)
	groups, used := 0, false
	for budget := 20; budget < 1000; budget++ {
		prompt := compose(s, asking(t, "u99"), Policy{Strategy: Summarize, Budget: budget, OneOff: true}, nil)
		if prompt.Groups < groups {
			t.Fatalf("budget %d: %d groups, with less it was %d", budget, prompt.Groups, groups)
		}
		if total := prompt.Tokens + priming + 10; total > budget && prompt.Groups > 0 {
			t.Fatalf("budget %d: %d tokens", budget, total)
		}
		if prompt.Fold != (Position{}) {
			t.Fatalf("budget %d: a call of its own asks for a summary", budget)
		}
		groups, used = prompt.Groups, used || prompt.Summary == SummaryUsed
	}
	if groups != 30 || !used {
		t.Errorf("%d groups at last, the summary was used: %v", groups, used)
	}
}

// fold makes a summary that ends at a position.
func fold(s *Session, at Position, tokens int) {
	summary := &Summary{UpTo: at.UpTo, Left: at.Left, Tokens: tokens, Text: "so far"}
	for i := range s.Turns {
		turn := s.Turns[i]
		if turn.Seq > at.UpTo {
			break
		}
		if turn.Seq == at.UpTo {
			turn.Messages = turn.Messages[:len(turn.Messages)-at.Left]
		}
		summary.Covered.Add(&turn)
	}
	s.Summary = summary
}

func TestCompose_gives_a_larger_budget_more_than_a_smaller_ones_summary_left(t *testing.T) {
	s := summarised(t, 100, Position{UpTo: 96}, 50) // for a model with a small window
	small := compose(s, asking(t, "u"), Policy{Strategy: Summarize, Budget: 200}, nil)
	large := compose(s, asking(t, "u"), Policy{Strategy: Summarize, Budget: 1200}, nil)
	all := compose(s, asking(t, "u"), Policy{Strategy: Summarize, Budget: 5000}, nil)
	if small.Groups != 4 || small.Summary != SummaryUsed {
		t.Errorf("the small budget got %d groups, summary %d", small.Groups, small.Summary)
	}
	if large.Groups < 30 || large.Summary != SummaryUsed || large.Fold != (Position{}) {
		t.Errorf("the large budget got %d groups, summary %d, fold %+v", large.Groups, large.Summary, large.Fold)
	}
	if all.Groups != 100 || all.Summary != SummaryNone {
		t.Errorf("where all fits, %d groups are sent, summary %d", all.Groups, all.Summary)
	}
}

func TestCompose_sends_the_group_that_a_request_continues_though_a_summary_covers_it(t *testing.T) {
	s := session(t, "u1 a1", "u2 a2", "u3 c:x", "u4 a4", "u5 a5")
	fold(s, Position{UpTo: 3}, 10)
	for asks, want := range map[string]string{
		"t:x":     "u1 a1 u2 a2 u3 c:x t:x",
		"c:x t:x": "u1 a1 u2 a2 u3 c:x t:x",
		"a4 u5":   "u1 a1 u2 a2 u3 u4 a4 u5",
	} {
		prompt := compose(s, asking(t, asks), Policy{Strategy: Summarize, Budget: 120}, nil)
		if got := words(sent(&prompt)); got != want {
			t.Errorf("%q: sent %q, want %q", asks, got, want)
		}
	}
}

func TestCompose_does_not_trust_the_count_of_a_summary(t *testing.T) {
	s := summarised(t, 40, Position{UpTo: 30}, 0)
	s.Summary.Text = strings.Repeat("word ", 2000)
	prompt := compose(s, asking(t, "u"), Policy{Strategy: Summarize, Budget: 500}, nil)
	if prompt.Summary == SummaryUsed || len(prompt.System) != 0 {
		t.Errorf("a summary of %d bytes was put into a prompt of 500 tokens", len(s.Summary.Text))
	}
}
