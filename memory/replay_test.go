package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// conversation is what one client says and hears: the requests of a client that
// sends only what is new, each with its answer.
type conversation struct {
	system    []Message
	exchanges []replayed
}

type replayed struct {
	fresh  []Message
	answer Message
}

// conversations reads the real ones, which are no part of the repository.
func conversations(t *testing.T) []conversation {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
	name := filepath.Join(root, "..", "shared", "data", "tau_bench_gpt-4o-airline.json")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the real conversations are not here: ", filepath.Base(name))
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []conversation
	gjson.ParseBytes(data).ForEach(func(_, run gjson.Result) bool {
		var c conversation
		var fresh []Message
		run.Get("traj").ForEach(func(_, value gjson.Result) bool {
			m, err := ParseMessage(value.Raw)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case m.IsSystem():
				c.system = append(c.system, m)
			case m.Role == RoleAssistant:
				c.exchanges = append(c.exchanges, replayed{fresh: fresh, answer: m})
				fresh = nil
			default:
				fresh = append(fresh, m)
			}
			return true
		})
		all = append(all, c)
		return true
	})
	return all
}

// fourth stands for a tokenizer.
func fourth(raw string) int { return len(raw)/4 + 4 }

// replay sends a conversation through a session and hands over each prompt.
func replay(c conversation, p Policy, each func(s *Session, in *Incoming, prompt *Prompt, answer Message)) {
	s, counter := &Session{}, &Counter{Message: fourth, Fixed: fourth}
	for _, e := range c.exchanges {
		in := &Incoming{System: c.system, Messages: e.fresh}
		prompt := composeFrom(&ledger{turns: s.Turns}, loaded(s, p.Need(in)), in, p, counter)
		each(s, in, &prompt, e.answer)
		counter.CountPrompt(&prompt)
		turn := Turn{Messages: append(slices.Clip(prompt.New), e.answer)}
		counter.CountTurn(&turn)
		addTurn(s, turn.Messages)
	}
}

// sent is the prompt's messages after the instructions.
func sent(p *Prompt) []Message {
	var messages []Message
	for _, m := range p.History {
		messages = append(messages, *m)
	}
	return append(messages, p.New...)
}

func TestReplay_of_real_conversations_makes_no_illegal_prompt(t *testing.T) {
	all := conversations(t)
	if len(all) != 200 {
		t.Fatalf("%d conversations, want 200", len(all))
	}
	prompts, trimmed := 0, 0
	for _, budget := range []int{500, 1000, 2000, 3000, 4000, 8000} {
		for _, p := range []Policy{{}, {OneOff: true}, {Strategy: Window, Window: 3}, {Strategy: Window}} {
			p.Budget = budget
			for n, c := range all {
				replay(c, p, func(s *Session, in *Incoming, prompt *Prompt, _ Message) {
					prompts++
					if prompt.Dropped > 0 {
						trimmed++
					}
					if why := illegal(sent(prompt)); why != "" {
						t.Fatalf("conversation %d under %+v: %s", n, p, why)
					}
					checkPrompt(t, &Branch{Session: *s, Overlap: prompt.Overlap}, in, p, &Counter{Message: fourth, Fixed: fourth}, prompt)
				})
			}
		}
	}
	t.Logf("%d prompts, %d of them trimmed, none illegal", prompts, trimmed)
	if trimmed < prompts/4 {
		t.Errorf("only %d of %d prompts were trimmed", trimmed, prompts)
	}
}

// known is the share of all prompt tokens that lie in a prefix of the prompt
// before and its answer: what a provider's cache can serve.
func known(c conversation, p Policy) (share float64, tokens int) {
	var before []string
	same := 0
	replay(c, p, func(_ *Session, _ *Incoming, prompt *Prompt, answer Message) {
		var now []string
		for _, m := range append(slices.Clone(prompt.System), sent(prompt)...) {
			now = append(now, m.Raw)
		}
		prefix := true
		for i, raw := range now {
			prefix = prefix && i < len(before) && raw == before[i]
			tokens += fourth(raw)
			if prefix {
				same += fourth(raw)
			}
		}
		before = slices.Concat(now, []string{answer.Raw})
	})
	return float64(same) / float64(tokens), tokens
}

func checkCached(t *testing.T, c conversation) {
	t.Helper()
	whole, all := known(c, Policy{})
	blocks, trimmed := known(c, Policy{Budget: 8000})
	sliding, slid := known(c, Policy{Budget: 8000, OneOff: true})
	t.Logf("%d calls: whole history %d tokens, %.1f %% cached; blocks %d, %.1f %%; sliding %d, %.1f %%",
		len(c.exchanges), all, 100*whole, trimmed, 100*blocks, slid, 100*sliding)
	if trimmed*2 > all {
		t.Errorf("trimming left %d of %d tokens: the conversation is too short to tell", trimmed, all)
	}
	if blocks < 0.9 {
		t.Errorf("%.3f of the prompt tokens lie in a known prefix, want 0.9", blocks)
	}
	if sliding > blocks-0.2 {
		t.Errorf("sliding leaves %.3f in a known prefix, blocks %.3f: no gain", sliding, blocks)
	}
}

func TestReplay_of_200_turns_begins_nearly_always_with_the_prompt_before(t *testing.T) {
	c := conversation{system: script(t, "u")}
	c.system[0].Raw = `{"role":"system","content":"` + strings.Repeat("be kind ", 300) + `"}`
	for i := range 200 {
		c.exchanges = append(c.exchanges, replayed{
			fresh:  []Message{uncounted(t, fmt.Sprint(i, strings.Repeat(" why", 20+i*7%40)))},
			answer: Message{Role: RoleAssistant, Raw: fmt.Sprintf(`{"role":"assistant","content":"%d %s"}`, i, strings.Repeat("so ", 60+i*13%120))},
		})
	}
	checkCached(t, c)
}

func TestReplay_of_real_conversations_begins_nearly_always_with_the_prompt_before(t *testing.T) {
	var c conversation
	for _, part := range conversations(t) {
		c.system = part.system
		c.exchanges = append(c.exchanges, part.exchanges...)
		if len(c.exchanges) >= 200 {
			break
		}
	}
	checkCached(t, c)
}
