package memory

import (
	"errors"
	"fmt"
	"math"
	"testing"
)

func TestStrategy_names_read_back(t *testing.T) {
	for _, s := range []Strategy{Trim, Window} {
		if got, err := ParseStrategy(s.String()); err != nil || got != s {
			t.Errorf("%q read back as %v, %v", s.String(), got, err)
		}
	}
	for _, name := range []string{"", "Trim", "sliding", "window "} {
		if _, err := ParseStrategy(name); !errors.Is(err, ErrStrategy) {
			t.Errorf("%q: %v, want ErrStrategy", name, err)
		}
	}
}

func TestPolicy_needs_no_more_of_a_log_than_it_may_send(t *testing.T) {
	one, many := asking(t, "u1"), asking(t, "u1 a1 u2")
	tests := []struct {
		name   string
		policy Policy
		in     *Incoming
		want   Need
	}{
		{"no limit", Policy{}, one, Need{Tokens: math.MaxInt, Groups: 1}},
		{"a budget", Policy{Budget: 8000}, one, Need{Tokens: 8000, Groups: 1}},
		{"no room", Policy{Budget: -5}, one, Need{Groups: 1}},
		{"a window", Policy{Strategy: Window, Window: 5}, one, Need{Groups: 5}},
		{"a window under a budget", Policy{Strategy: Window, Window: 5, Budget: 8000}, one, Need{Groups: 5}},
		{"a window of what fits", Policy{Strategy: Window, Budget: 8000}, one, Need{Tokens: 8000, Groups: 1}},
		{"a history sent again", Policy{Budget: 8000}, many, Need{Tokens: 8000, Groups: 1, Messages: 3}},
	}
	for _, test := range tests {
		if got := test.policy.Need(test.in); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// exchange is a log of n groups of 20 tokens: u0 a0, u1 a1, …
func exchange(t testing.TB, n int) *Session {
	t.Helper()
	s := &Session{}
	for i := range n {
		addTurn(s, script(t, fmt.Sprintf("u%d a%d", i, i)))
	}
	return s
}

func TestTrim_drops_nothing_that_fits(t *testing.T) {
	s := exchange(t, 10)
	in := asking(t, "u")
	exact := Policy{Budget: 10*20 + 10 + priming}
	if prompt := compose(s, in, exact, nil); prompt.Groups != 10 {
		t.Errorf("sent %d groups that fit to the token, want 10", prompt.Groups)
	}
	exact.Budget--
	if prompt := compose(s, in, exact, nil); prompt.Groups >= 10 {
		t.Error("nothing was dropped for a budget of one token less")
	}
}

func TestTrim_jumps_to_the_low_water_mark_and_stays_there_until_the_budget_is_full(t *testing.T) {
	in := asking(t, "u")
	for _, test := range []struct{ low, want float64 }{{0, 0.6}, {0.6, 0.6}, {0.3, 0.3}, {0.9, 0.9}, {1, 0.6}, {-1, 0.6}, {math.NaN(), 0.6}} {
		p := Policy{Budget: 2000, LowWater: test.low}
		s, start, jumps := &Session{}, "", 0
		for n := range 600 {
			addTurn(s, script(t, fmt.Sprintf("u%d a%d", n, n)))
			prompt := compose(s, in, p, nil)
			begins, sent := words(prompt.History[:1]), float64(prompt.Tokens+10+priming)
			if sent > 2000 {
				t.Fatalf("%v: %v tokens after %d turns", test.low, sent, n)
			}
			if start != "" && begins != start {
				jumps++
				if share := sent / 2000; share < test.want-0.05 || share > test.want+0.05 {
					t.Errorf("%v: a jump left %.2f of the budget, want %.2f", test.low, share, test.want)
				}
			}
			start = begins
		}
		total, step := 600*20.0, (1-test.want)*2000
		if most := int(total/step) + 1; jumps == 0 || jumps > most {
			t.Errorf("%v: %d jumps in %v tokens, want 1 to %d", test.low, jumps, total, most)
		}
	}
}

func TestTrim_begins_with_the_first_group_behind_the_cut(t *testing.T) {
	s := exchange(t, 100) // 2,000 tokens, of which 1,600 have room; the step is 640
	for fresh, want := range map[int]string{10: "u32", 240: "u32", 241: "u64"} {
		prompt := compose(s, asking(t, fmt.Sprintf("u*%d", fresh)), Policy{Budget: 1600 + priming}, nil)
		if got := words(prompt.History[:1]); got != want {
			t.Errorf("with %d new tokens the prompt begins at %s, want %s", fresh, got, want)
		}
	}
}

func TestPolicy_settles_only_what_no_count_between_the_bounds_can_change(t *testing.T) {
	settled, open := 0, 0
	for n := 1; n < 120; n++ {
		s := exchange(t, n)
		h, total := historyOf(s.Turns[neededFrom(s, Need{Groups: n}):]), int(s.Totals.Tokens)
		for _, p := range []Policy{{Budget: 300}, {Budget: 300, LowWater: 0.2}, {Budget: 300, OneOff: true}} {
			for size := 10; size < 300; size += 30 {
				for _, high := range []load{{fixed: size}, {fresh: size}, {fixed: size, fresh: size}} {
					first, ok := p.settle(h, total, load{}, high)
					if !ok {
						open++
						continue
					}
					settled++
					for part := range 30 {
						between := load{fixed: high.fixed * part / 30, fresh: high.fresh * part / 30}
						if got := p.first(h, total, between); got != first {
							t.Fatalf("%+v, %d groups: %+v settles on %d, but %+v leads to %d", p, n, high, first, between, got)
						}
					}
				}
			}
		}
	}
	if settled < 1000 || open < 1000 {
		t.Errorf("%d settled, %d open: the test tells nothing", settled, open)
	}
}

func TestTrim_stays_when_the_fixed_part_changes_a_little(t *testing.T) {
	s := exchange(t, 300)
	starts := map[string]bool{}
	for size := 100; size < 140; size++ {
		in := asking(t, "u")
		in.Fixed = []string{string(make([]byte, size))}
		starts[words(compose(s, in, Policy{Budget: 1600}, nil).History[:1])] = true
	}
	if len(starts) > 2 { // one threshold may lie within the range
		t.Errorf("the prompt began at %d places", len(starts))
	}
}

func TestTrim_of_groups_too_large_for_the_budget(t *testing.T) {
	tests := []struct {
		name   string
		turns  []string
		budget int
		want   string
	}{
		{"the newest is larger than the budget", []string{"u1 a1", "u2 a2*500"}, 100, ""},
		{"an old one is larger than the budget", []string{"u1 a1*500", "u2 a2"}, 100, "u2 a2"},
		{"every one is larger", []string{"u1 a1*500", "u2 a2*500"}, 100, ""},
		{"a jump that leaves no group", []string{"u1*1 a1*1", "u2*1 a2*1"}, 15, ""},
		{"no room at all", []string{"u1 a1"}, -3, ""},
		{"no room after the new messages", []string{"u1 a1"}, 13, ""},
	}
	for _, test := range tests {
		prompt := compose(session(t, test.turns...), asking(t, "u"), Policy{Budget: test.budget}, nil)
		if got := words(prompt.History); got != test.want {
			t.Errorf("%s: sent %q, want %q", test.name, got, test.want)
		}
	}
}

func TestOneOff_sends_the_newest_groups_that_fit(t *testing.T) {
	s := session(t, "u1 a1", "u2*70 a2*70", "u3 a3", "u4 c:x", "u5 a5")
	base := 10 + priming
	tests := []struct {
		room int
		want string
	}{
		{19, ""}, {20, "u5 a5"}, {29, "u5 a5"},
		{30, "u4 u5 a5"}, // the abandoned call takes no room
		{50, "u3 a3 u4 u5 a5"},
		{189, "u3 a3 u4 u5 a5"}, // u1 would fit, but the run is unbroken
		{190, "u2 a2 u3 a3 u4 u5 a5"},
		{210, "u1 a1 u2 a2 u3 a3 u4 u5 a5"},
	}
	for _, test := range tests {
		for _, p := range []Policy{{OneOff: true}, {Strategy: Window}, {Strategy: Window, Window: 9}} {
			p.Budget = base + test.room
			if got := words(compose(s, asking(t, "u"), p, nil).History); got != test.want {
				t.Errorf("room for %d under %+v: sent %q, want %q", test.room, p, got, test.want)
			}
		}
	}
}

func TestOneOff_uses_half_its_budget_and_more_budget_never_keeps_less(t *testing.T) {
	s := &Session{}
	for i := range 200 {
		addTurn(s, script(t, fmt.Sprintf("u%d*%d a%d*%d", i, 1+i*7%40, i, 1+i*13%60)))
	}
	in := asking(t, "u*0")
	c := &Counter{Message: func(raw string) int { return len(raw) / 5 }}
	fixed := c.Message(in.Messages[0].Raw) + priming
	before := 0
	for budget := 1; budget < 12_000; budget += 7 {
		prompt := compose(s, in, Policy{Budget: budget, OneOff: true}, c)
		sent := prompt.Tokens + fixed
		if prompt.Groups < before {
			t.Fatalf("budget %d keeps %d groups, a smaller one %d", budget, prompt.Groups, before)
		}
		if budget >= 200 && prompt.Dropped > 0 && sent*2 < budget { // no group has more than 100 tokens
			t.Errorf("budget %d: only %d used", budget, sent)
		}
		if prompt.Groups > 0 && sent > budget {
			t.Errorf("budget %d: %d sent", budget, sent)
		}
		before = prompt.Groups
	}
	if before != 200 {
		t.Errorf("the largest budget kept %d groups, want all 200", before)
	}
}

func TestWindow_counts_groups_and_not_turns(t *testing.T) {
	s := session(t, "u1 a1 u2 a2", "u3 c:x", "t:x c:y", "t:y a3")
	for window, want := range map[int]string{
		1: "u3 c:x t:x c:y t:y a3",
		2: "u2 a2 u3 c:x t:x c:y t:y a3",
		3: "u1 a1 u2 a2 u3 c:x t:x c:y t:y a3",
		9: "u1 a1 u2 a2 u3 c:x t:x c:y t:y a3",
		0: "u1 a1 u2 a2 u3 c:x t:x c:y t:y a3",
	} {
		p := Policy{Strategy: Window, Window: window}
		in := asking(t, "u4")
		if got := words(compose(loaded(s, p.Need(in)), in, p, nil).History); got != want {
			t.Errorf("window %d sent %q, want %q", window, got, want)
		}
	}
}
