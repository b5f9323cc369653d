package memory

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tallied counts a quarter of the bytes, and how often it was asked for what.
type tallied struct {
	mu    sync.Mutex
	asked []string
}

func (c *tallied) count(raw string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, raw)
	return len(raw) / 4
}

func (c *tallied) counter() *Counter { return &Counter{Message: c.count, Fixed: c.count} }

func uncounted(t testing.TB, content string) Message {
	t.Helper()
	m, err := ParseMessage(fmt.Sprintf(`{"role":"user","content":%q}`, content))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCounter_is_not_asked_while_the_bounds_decide(t *testing.T) {
	s := exchange(t, 300)
	s.System = `[{"role":"system","content":"be kind"}]`
	in := &Incoming{
		Messages: []Message{uncounted(t, "hello")},
		Fixed:    []string{`[{"type":"function","function":{"name":"f"}}]`},
	}
	for _, p := range []Policy{
		{},
		{Budget: 6300}, // all of it fits
		{Strategy: Window, Window: 5},
		{Strategy: Window, Window: 5, Budget: 8000},
		{Strategy: Window, Window: 300, Budget: 6300},
		{OneOff: true, Budget: 6300},
	} {
		asked := &tallied{}
		prompt := compose(s, in, p, asked.counter())
		if len(asked.asked) > 0 {
			t.Errorf("%+v: counted %q", p, asked.asked)
		}
		if prompt.New[0].Tokens != 0 {
			t.Errorf("%+v: a count from nowhere: %d", p, prompt.New[0].Tokens)
		}
	}
}

func TestCounter_counts_what_comes_again_once_a_process(t *testing.T) {
	asked := &tallied{}
	c := asked.counter()
	s := exchange(t, 300)
	s.System = `[{"role":"system","content":"` + strings.Repeat("be kind ", 200) + `"}]`
	tools := `[{"type":"function","function":{"name":"` + strings.Repeat("f", 900) + `"}}]`
	for i := range 200 {
		in := &Incoming{Messages: script(t, fmt.Sprintf("u%d*30", i)), Fixed: []string{tools}}
		prompt := compose(s, in, Policy{Budget: 2000}, c)
		addTurn(s, append(prompt.New, script(t, fmt.Sprintf("a%d*50", i))...))
	}
	if len(asked.asked) != 2 {
		t.Errorf("asked %d times, want once for the system message and once for the tools", len(asked.asked))
	}
}

func TestCounter_asks_for_the_cheapest_first_and_no_further_than_needed(t *testing.T) {
	asked := &tallied{}
	s := exchange(t, 10)
	in := &Incoming{Messages: []Message{uncounted(t, strings.Repeat("long ", 100)), uncounted(t, strings.Repeat("mid ", 15)), uncounted(t, "short")}}
	// 200 stored tokens; the bounds of the three are about 540, 100 and 45.
	p := Policy{Budget: 200 + 540 + 60, OneOff: true}
	prompt := compose(s, in, p, asked.counter())
	if prompt.Groups != 10 {
		t.Errorf("sent %d groups, want all 10", prompt.Groups)
	}
	if len(asked.asked) != 2 || !strings.Contains(asked.asked[0], "short") || !strings.Contains(asked.asked[1], "mid") {
		t.Errorf("asked for %q, want the short and the middle one", asked.asked)
	}
	if prompt.New[0].Tokens != 0 || prompt.New[1].Tokens == 0 || prompt.New[2].Tokens == 0 {
		t.Error("the counts made are not in the prompt")
	}
}

func TestCounter_counts_each_message_of_a_turn_once(t *testing.T) {
	asked := &tallied{}
	c := asked.counter()
	in := &Incoming{
		System:   []Message{{Raw: `{"role":"system","content":"be kind"}`, Role: RoleSystem}},
		Messages: []Message{uncounted(t, strings.Repeat("long ", 100)), uncounted(t, "short")},
	}
	prompt := compose(exchange(t, 10), in, Policy{Budget: 260, OneOff: true}, c)
	c.CountPrompt(&prompt)
	turn := Turn{Messages: append(prompt.New, uncounted(t, "the reply"))}
	c.CountTurn(&turn)
	if len(asked.asked) != 4 {
		t.Errorf("asked %d times for 4 messages: %q", len(asked.asked), asked.asked)
	}
	for i := range turn.Messages {
		if got, want := turn.Messages[i].Tokens, len(turn.Messages[i].Raw)/4; got != want {
			t.Errorf("message %d counts %d tokens, want %d", i, got, want)
		}
	}
}

func TestCounter_reports_the_session_instructions_exactly_once_they_are_counted(t *testing.T) {
	c := (&tallied{}).counter()
	s := exchange(t, 1)
	raw := `{"role":"system","content":"be kind"}`
	s.System = "[" + raw + "]"
	prompt := compose(s, asking(t, "u"), Policy{}, c)
	if want := 20 + prompt.System[0].Bound(); prompt.Tokens != want {
		t.Errorf("uncounted: %d, want %d", prompt.Tokens, want)
	}
	c.CountPrompt(&prompt)
	if got, want := compose(s, asking(t, "u"), Policy{}, c).Tokens, 20+len(raw)/4; got != want {
		t.Errorf("counted: %d, want %d", got, want)
	}
}

func TestCounter_always_counts_an_image_whose_address_is_shorter_than_its_cost(t *testing.T) {
	m, err := ParseMessage(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	c := &Counter{Message: func(string) int { return 1105 }}
	p := Policy{Budget: 1200}
	prompt := compose(exchange(t, 20), &Incoming{Messages: []Message{m}}, p, c)
	if sent := prompt.Tokens + 1105 + priming; sent > 1200 {
		t.Errorf("sent %d tokens, budget 1200", sent)
	}
	if prompt.New[0].Tokens != 1105 {
		t.Errorf("the image counts %d tokens", prompt.New[0].Tokens)
	}
}

func TestCounter_without_functions_counts_bytes(t *testing.T) {
	for _, c := range []*Counter{nil, {}} {
		m := uncounted(t, "hello")
		prompt := compose(exchange(t, 10), &Incoming{
			System:   []Message{{Raw: `{"role":"system"}`, Role: RoleSystem}},
			Messages: []Message{m}, Fixed: []string{"[1]"},
		}, Policy{Budget: 150, OneOff: true}, c)
		if room := 150 - priming - m.Bound() - 17 - messageOverhead - 3; prompt.Groups != room/20 {
			t.Errorf("sent %d groups, want the %d that fit %d tokens", prompt.Groups, room/20, room)
		}
		turn := Turn{Messages: []Message{m}}
		c.CountPrompt(&prompt)
		c.CountTurn(&turn)
		if turn.Messages[0].Tokens != m.Bound() {
			t.Errorf("counted %d, want the bound %d", turn.Messages[0].Tokens, m.Bound())
		}
	}
}

func TestCounter_keeps_a_bounded_number_of_counts(t *testing.T) {
	c := (&tallied{}).counter()
	for i := range 3 * remembered {
		c.fixed(fmt.Sprint("tools ", i))
	}
	if got := c.seen.Len(); got != remembered {
		t.Errorf("remembers %d counts, want %d", got, remembered)
	}
	if c.known("tools 0", true) != 0 || c.known(fmt.Sprint("tools ", 3*remembered-1), true) == 0 {
		t.Error("the oldest counts were to be forgotten, the newest kept")
	}
}

func TestCounter_counts_once_however_many_ask_at_the_same_time(t *testing.T) {
	var calls atomic.Int32
	c := &Counter{Fixed: func(raw string) int { calls.Add(1); return len(raw) }}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range 50 {
				if got := c.fixed(strings.Repeat("x", i+1)); got != i+1 {
					t.Errorf("counted %d, want %d", got, i+1)
				}
			}
		})
	}
	wg.Wait()
	if got := calls.Load(); got != 50 {
		t.Errorf("%d calls for 50 values", got)
	}
}
