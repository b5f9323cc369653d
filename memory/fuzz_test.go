package memory

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// dice makes choices out of a fuzzer's bytes; when these are used up, it makes
// the first choice.
type dice struct{ left []byte }

func (d *dice) pick(n int) int {
	if len(d.left) == 0 {
		return 0
	}
	b := d.left[0]
	d.left = d.left[1:]
	return int(b) % n
}

// message is any message of a conversation; ids are few, so that they come again.
func (d *dice) message(t testing.TB, kinds string) Message {
	word := ""
	ids := []string{"x", "y", "z"}
	switch kind := kinds[d.pick(len(kinds))]; kind {
	case 'c':
		word = "c:" + []string{"x", "y", "x,y", "z,x,y", "x,x"}[d.pick(5)]
	case 't':
		word = "t:" + ids[d.pick(len(ids))]
	default:
		word = fmt.Sprintf("%c%d", kind, d.pick(6))
	}
	return script(t, fmt.Sprintf("%s*%d", word, []int{10, 0, 1, 40, 200}[d.pick(5)]))[0]
}

func (d *dice) policy() Policy {
	return Policy{
		Strategy: Strategy(d.pick(2)),
		Window:   d.pick(5),
		Budget:   []int{100, 0, -1, 1, 20, 60, 300, 1000, 5000}[d.pick(9)],
		LowWater: []float64{0, 0.1, 0.5, 0.95, 2}[d.pick(5)],
		OneOff:   d.pick(4) == 1,
	}
}

// request is new messages, at times behind a part of the log sent again.
func (d *dice) request(t testing.TB, s *Session) *Incoming {
	in := &Incoming{}
	if d.pick(3) == 1 {
		log := pointers(s)
		for _, m := range log[len(log)-min(len(log), d.pick(12)):] {
			again := *m
			again.Tokens = 0
			in.Messages = append(in.Messages, again)
		}
	}
	for range d.pick(4) {
		in.Messages = append(in.Messages, d.message(t, "uuttac"))
	}
	if d.pick(2) == 1 {
		in.Fixed = []string{"[" + strings.Repeat("1,", 5*d.pick(60)) + "2]"}
	}
	if d.pick(2) == 1 {
		in.System = []Message{{Raw: `{"role":"system","content":"be kind"}`, Role: RoleSystem}}
	}
	return in
}

func FuzzCompose(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a talk with calls: \x01\x02\x03\x04\x05\x06\x07\x08\x09 and so on, and so on, and so on, and so on"))
	long := make([]byte, 2000)
	for i := range long {
		long[i] = byte(i * i >> 3)
	}
	f.Add(long)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &dice{left: data[:min(len(data), 4000)]}
		l, system := &ledger{}, ""
		if d.pick(2) == 1 {
			system = `[{"role":"system","content":"be brief"}]`
		}
		p := d.policy()
		for len(d.left) > 0 {
			if d.pick(4) == 1 {
				p = d.policy()
			}
			s := l.load(Need{Tokens: math.MaxInt})
			s.System = system
			in := d.request(t, s)
			newCounter := func() *Counter {
				return &Counter{Message: func(raw string) int { return len(raw)/3 + 1 }, Fixed: func(raw string) int { return len(raw) / 2 }}
			}
			c := newCounter()
			least := loaded(s, p.Need(in))
			prompt := composeFrom(l, least, in, p, c)
			b, err := Reconcile(t.Context(), l, Key{}, s, in, p.Need(in))
			if err != nil {
				t.Fatal(err)
			}
			checkPrompt(t, &b, in, p, c, &prompt)
			if all := composeFrom(l, s, in, p, newCounter()); !reflect.DeepEqual(all, prompt) {
				t.Fatalf("%+v: sent %q, with everything loaded %q", p, words(prompt.History), words(all.History))
			}
			c.CountPrompt(&prompt)
			if d.pick(8) != 1 { // else the call failed
				l.append(Turn{Messages: slices.Concat(b.Kept, prompt.New, []Message{d.message(t, "aac")}), Supersedes: b.Supersedes})
			}
		}
	})
}

// checkPrompt checks a prompt against the rules, each worked out in the plainest way.
func checkPrompt(t *testing.T, b *Branch, in *Incoming, p Policy, c *Counter, prompt *Prompt) {
	t.Helper()
	s := &b.Session
	log := pointers(s)
	k := b.Overlap
	if slow := overlapSlowly(log, in.Messages); b.Supersedes == (Span{}) && k != slow {
		t.Fatalf("log %q, request %q: overlap %d, want %d", words(log), words(in.Messages), k, slow)
	}
	if s.Totals.Groups == 0 && k == len(in.Messages) {
		k = 0
	}
	if prompt.Overlap != k || words(prompt.New) != words(in.Messages[k:]) {
		t.Fatalf("log %q, request %q: overlap %d, new %q", words(log), words(in.Messages), prompt.Overlap, words(prompt.New))
	}
	continues := len(prompt.New) == 0 || prompt.New[0].Role != RoleUser

	var groups []int // where they begin
	for i, m := range log {
		if m.Role == RoleUser {
			groups = append(groups, i)
		}
	}
	if prompt.Groups > len(groups) || prompt.Dropped != len(groups)-prompt.Groups {
		t.Fatalf("%d of %d groups sent, %d dropped", prompt.Groups, len(groups), prompt.Dropped)
	}
	var want []*Message
	added := 0
	if prompt.Groups > 0 {
		first := groups[len(groups)-prompt.Groups]
		for _, i := range legalIn(log, prompt.New, k > 0) {
			if i >= first {
				want = append(want, log[i])
				added += log[i].Bound()
			}
		}
	}
	if !slices.Equal(prompt.History, want) {
		t.Fatalf("%+v: of log %q for %q sent %q, want %q", p, words(log), words(prompt.New), words(prompt.History), words(want))
	}

	exact := load{fixed: priming}
	for i := range prompt.System {
		exact.fixed += c.message(prompt.System[i].Raw)
	}
	for _, raw := range in.Fixed {
		exact.fixed += c.fixed(raw)
	}
	for i := range prompt.New {
		tokens := in.Messages[k+i].Tokens
		if tokens == 0 {
			tokens = c.message(prompt.New[i].Raw)
		}
		exact.fresh += tokens
	}
	h := historyOf(s.Turns[neededFrom(s, p.Need(in)):])
	h.leaveOut(prompt.New, k > 0)
	first := p.first(h, int(s.Totals.Tokens), exact)
	if continues {
		first = min(first, h.last())
	}
	counted := 0
	for _, e := range h[first:] {
		if e.kind == opening {
			counted++
		}
	}
	if prompt.Groups != counted {
		t.Fatalf("%+v: %d groups sent of %q, with everything counted %d", p, prompt.Groups, words(log), counted)
	}

	room, must := p.Budget-exact.fixed-exact.fresh, 0
	if continues && len(groups) > 0 {
		must = 1
	}
	switch {
	case prompt.Groups < must:
		t.Fatalf("%+v: the group that %q continues is missing", p, words(prompt.New))
	case p.Budget != 0 && added > room && prompt.Groups > must:
		t.Fatalf("%+v: %d groups of %d tokens in room for %d", p, prompt.Groups, added, room)
	case p.Strategy == Window && p.Window > 0 && prompt.Groups > p.Window:
		t.Fatalf("%+v: %d groups", p, prompt.Groups)
	case p.Budget == 0 && (p.Strategy == Trim || p.Window == 0) && prompt.Dropped > 0:
		t.Fatalf("%+v: %d groups dropped", p, prompt.Dropped)
	case p.blocks() && int(s.Totals.Tokens) <= room && prompt.Dropped > 0:
		t.Fatalf("%+v: %d groups dropped of %d tokens in room for %d", p, prompt.Dropped, s.Totals.Tokens, room)
	}
}

// FuzzTrim lets a log grow under one policy: what a prompt dropped never comes
// back, it drops seldom, and between drops it begins with the one before it.
func FuzzTrim(f *testing.F) {
	f.Add([]byte("some questions and some answers of many lengths, and some questions"), uint16(300), byte(60))
	f.Add([]byte("\x00\x10\x00\x80\xff\x01\x02\x99\x10\x20\x33\x41\x19\x55\x98\x01\x22\x95"), uint16(90), byte(95))
	f.Fuzz(func(t *testing.T, data []byte, budget uint16, low byte) {
		p := Policy{Budget: 1 + int(budget), LowWater: float64(low) / 100}
		c := &Counter{Message: func(raw string) int { return len(raw)/3 + 1 }}
		s, jumps := &Session{}, 0
		start, before := 0, "" // the prompt before and its answer
		for i, b := range data[:min(len(data), 500)] {
			in := asking(t, fmt.Sprintf("u%d*%d", i, int(b)/4))
			prompt := compose(s, in, p, c)
			now := len(pointers(s)) - len(prompt.History)
			if now < start {
				t.Fatalf("call %d begins with message %d, the one before with %d", i, now, start)
			}
			if now > start {
				if len(prompt.History) > 0 { // else the cut lies ahead of all that is stored
					jumps++
				}
			} else if words(prompt.History) != before {
				t.Fatalf("call %d has %q in front of what is new, the one before ended as %q", i, words(prompt.History), before)
			}
			answer := script(t, fmt.Sprintf("a%d*%d", i, 1+int(b)%64))
			before, start = strings.TrimSpace(words(prompt.History)+" "+words(prompt.New)+" "+words(answer)), now
			c.CountPrompt(&prompt)
			addTurn(s, append(prompt.New, answer...))
		}
		if most := int(s.Totals.Tokens)/p.step(load{fixed: priming}) + 1; jumps > most {
			t.Fatalf("%d jumps in a log of %d tokens, at most %d expected", jumps, s.Totals.Tokens, most)
		}
	})
}
