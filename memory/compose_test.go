package memory

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// script reads messages from words: u… is a user's, a… an assistant's, t:x a
// result for call x, c:x,y an assistant's calls x and y. Each counts 10 tokens,
// or as many as stand after a *, and says its own word.
func script(t testing.TB, words string) []Message {
	t.Helper()
	var messages []Message
	for _, word := range strings.Fields(words) {
		name, count, _ := strings.Cut(word, "*")
		var raw string
		_, ids, _ := strings.Cut(name, ":")
		switch name[0] {
		case 'u':
			raw = fmt.Sprintf(`{"role":"user","content":%q}`, name)
		case 'a':
			raw = fmt.Sprintf(`{"role":"assistant","content":%q}`, name)
		case 't':
			raw = fmt.Sprintf(`{"role":"tool","tool_call_id":%q,"content":%q}`, ids, name)
		case 'c':
			var calls []string
			for _, id := range strings.Split(ids, ",") {
				calls = append(calls, fmt.Sprintf(`{"id":%q,"type":"function","function":{"name":"f","arguments":"{}"}}`, id))
			}
			raw = fmt.Sprintf(`{"role":"assistant","content":%q,"tool_calls":[%s]}`, name, strings.Join(calls, ","))
		default:
			t.Fatalf("unknown word %q", word)
		}
		m, err := ParseMessage(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.Tokens = 10
		if count != "" {
			if m.Tokens, err = strconv.Atoi(count); err != nil {
				t.Fatal(err)
			}
		}
		messages = append(messages, m)
	}
	return messages
}

// session is a log with one turn for each script.
func session(t testing.TB, scripts ...string) *Session {
	t.Helper()
	s := &Session{}
	for _, words := range scripts {
		addTurn(s, script(t, words))
	}
	return s
}

func addTurn(s *Session, messages []Message) {
	s.Seq++
	turn := Turn{Seq: s.Seq, Messages: messages}
	s.Turns = append(s.Turns, turn)
	s.Totals.Add(&turn)
}

// loaded is the session as a store returns it for a need: no turn more than asked.
func loaded(s *Session, need Need) *Session {
	least, have := *s, Totals{}
	first := len(s.Turns)
	for first > 0 && !need.Met(have) {
		first--
		have.Add(&s.Turns[first])
	}
	least.Turns = s.Turns[first:]
	return &least
}

func asking(t testing.TB, words string) *Incoming {
	t.Helper()
	return &Incoming{Messages: script(t, words)}
}

// words is the script of messages.
func words[M Message | *Message](messages []M) string {
	var all []string
	for i := range messages {
		raw := ""
		switch m := any(messages[i]).(type) {
		case Message:
			raw = m.Raw
		case *Message:
			raw = m.Raw
		}
		_, rest, _ := strings.Cut(raw, `"content":"`)
		word, _, _ := strings.Cut(rest, `"`)
		all = append(all, word)
	}
	return strings.Join(all, " ")
}

func TestCompose_puts_instructions_first_then_the_history_then_what_is_new(t *testing.T) {
	s := session(t, "u1 a1", "u2 a2")
	s.System = `[{"role":"system","content":"be kind"}, {"role":"developer","content":"be brief"}]`
	own := Message{Raw: `{"role": "system", "content": "be rude"}`, Role: RoleSystem}

	in := asking(t, "u3")
	prompt := compose(s, in, Policy{}, nil)
	want := `[{"role":"system","content":"be kind"},{"role":"developer","content":"be brief"},` +
		`{"role":"user","content":"u1"},{"role":"assistant","content":"a1"},` +
		`{"role":"user","content":"u2"},{"role":"assistant","content":"a2"},{"role":"user","content":"u3"}]`
	if got := string(prompt.AppendMessages(nil)); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if !prompt.System[0].IsSystem() || !prompt.System[1].IsSystem() {
		t.Errorf("instructions without their roles: %+v", prompt.System)
	}
	if want := 40 + prompt.System[0].Bound() + prompt.System[1].Bound(); prompt.Tokens != want {
		t.Errorf("memory added %d tokens, want %d", prompt.Tokens, want)
	}

	in.System = []Message{own}
	prompt = compose(s, in, Policy{}, nil)
	if len(prompt.System) != 1 || prompt.System[0].Raw != own.Raw {
		t.Errorf("the request's own instructions were replaced by %v", prompt.System)
	}
	if prompt.Tokens != 40 {
		t.Errorf("memory added %d tokens, want the history's 40", prompt.Tokens)
	}
}

func TestCompose_says_how_many_groups_it_sent_and_left_out(t *testing.T) {
	s := session(t, "u1 a1", "u2 a2 u3 a3", "u4 a4")
	prompt := compose(s, asking(t, "u5"), Policy{Strategy: Window, Window: 3}, nil)
	if got := words(prompt.History); got != "u2 a2 u3 a3 u4 a4" {
		t.Errorf("sent %q", got)
	}
	if prompt.Groups != 3 || prompt.Dropped != 1 || prompt.Tokens != 60 {
		t.Errorf("groups %d, dropped %d, tokens %d; want 3, 1, 60", prompt.Groups, prompt.Dropped, prompt.Tokens)
	}
	part := loaded(s, Need{Groups: 1}) // the count is of the log, not of what was loaded
	prompt = compose(part, asking(t, "u5"), Policy{Strategy: Window, Window: 1}, nil)
	if prompt.Groups != 1 || prompt.Dropped != 3 {
		t.Errorf("groups %d, dropped %d; want 1, 3", prompt.Groups, prompt.Dropped)
	}
}

func TestCompose_sends_only_what_is_legal(t *testing.T) {
	tests := []struct {
		name  string
		turns []string
		asks  string
		want  string
	}{
		{"an empty log", nil, "u1", ""},
		{"nothing before the first user message", []string{"a0 u1 a1"}, "u2", "u1 a1"},
		{"no log without a user message", []string{"a0 a1"}, "u2", ""},
		{"a whole step", []string{"u1 c:x", "t:x a1"}, "u2", "u1 c:x t:x a1"},
		{"parallel calls answered in any order", []string{"u1 c:x,y,z", "t:z t:x t:y a1"}, "u2", "u1 c:x,y,z t:z t:x t:y a1"},
		{"not a call that the user abandoned", []string{"u1 c:x", "u2 a2"}, "u3", "u1 u2 a2"},
		{"not a call that the user abandons now", []string{"u1 c:x"}, "u2", "u1"},
		{"not the partial results of abandoned calls", []string{"u1 c:x,y t:x", "u2 a2"}, "u3", "u1 u2 a2"},
		{"not a step that lacks a result, though the talk went on", []string{"u1 c:x,y", "t:x a1"}, "u2", "u1 a1"},
		{"not a result without its call", []string{"u1 t:x a1"}, "u2", "u1 a1"},
		{"not a result that comes after other messages", []string{"u1 c:x a1 t:x"}, "u2", "u1 a1"},
		{"not a foreign result inside a step", []string{"u1 c:x t:x t:q t:q a1"}, "u2", "u1 c:x t:x a1"},
		{"ids that come again in later steps", []string{"u1 c:x t:x c:x t:x a1", "u2 c:x", "u3 c:x t:x a3"}, "u4", "u1 c:x t:x c:x t:x a1 u2 u3 c:x t:x a3"},
		{"calls that are answered now", []string{"u1 c:x"}, "t:x", "u1 c:x"},
		{"calls of which some are answered now", []string{"u1 c:x,y"}, "t:y u2", "u1 c:x,y"},
		{"calls of which the rest is answered now", []string{"u1 c:x,y t:x"}, "t:y", "u1 c:x,y t:x"},
		{"no calls to which the new results do not belong", []string{"u1 c:x"}, "t:q", "u1"},
		{"nothing after calls that are answered late", []string{"u1 c:x", "u2 a2"}, "t:x", "u1 c:x"},
		{"no calls whose answer comes after a question", []string{"u1 c:x"}, "u2 t:x", "u1"},
		{"calls with which the request itself ends", []string{"u1 c:x"}, "u1 c:x", "u1 c:x"},
		{"no calls when nothing was asked", []string{"u1 c:x"}, "", "u1"},
		{"questions that got no answer", []string{"u1 u2 a2"}, "u3", "u1 u2 a2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := asking(t, test.asks)
			for _, p := range []Policy{{}, {Budget: 1000}, {Budget: 1000, OneOff: true}, {Strategy: Window, Window: 9}} {
				prompt := compose(session(t, test.turns...), in, p, nil)
				if got := words(prompt.History); got != test.want {
					t.Errorf("%+v sent %q, want %q", p, got, test.want)
				}
				if got := words(prompt.New); !strings.HasSuffix(test.asks, got) {
					t.Errorf("new is %q of %q", got, test.asks)
				}
			}
		})
	}
}

func TestCompose_never_sends_an_empty_prompt_for_a_request_with_messages(t *testing.T) {
	s := session(t, "a0 a1")
	prompt := compose(s, asking(t, "a1"), Policy{}, nil)
	if got := words(prompt.New); got != "a1" || prompt.Overlap != 0 {
		t.Errorf("sent %q with overlap %d, want what came", got, prompt.Overlap)
	}
	prompt = compose(session(t, "u1 a1"), asking(t, "u1 a1"), Policy{Budget: 1}, nil)
	if got := words(prompt.History); got != "u1 a1" || prompt.Overlap != 2 || len(prompt.New) != 0 {
		t.Errorf("sent %q with overlap %d and %d new", got, prompt.Overlap, len(prompt.New))
	}
}

func TestCompose_keeps_the_group_that_the_request_continues_whatever_the_budget(t *testing.T) {
	s := session(t, "u1 a1", "u2 c:x t:x c:y*500")
	tests := []struct{ asks, want string }{
		{"t:y", "u2 c:x t:x c:y"}, // results
		{"a3", "u2 c:x t:x"},      // a prefill
		{"", "u2 c:x t:x"},        // nothing at all
		{"u3", ""},                // a new group
	}
	for _, test := range tests {
		for _, p := range []Policy{{Budget: 20}, {Budget: -1}, {Budget: 20, OneOff: true}, {Strategy: Window, Window: 1, Budget: 20}} {
			prompt := compose(s, asking(t, test.asks), p, nil)
			if got := words(prompt.History); got != test.want {
				t.Errorf("%q under %+v: sent %q, want %q", test.asks, p, got, test.want)
			}
		}
	}
}

func TestCompose_sends_the_rest_of_a_history_that_was_sent_again(t *testing.T) {
	s := session(t, "u1 a1", "u2 c:x", "t:x a2")
	in := asking(t, "u1 a1 u2 c:x t:x a2 u3")
	prompt := compose(loaded(s, Policy{Budget: 1}.Need(in)), in, Policy{Budget: 1000}, nil)
	if got := words(prompt.History) + " | " + words(prompt.New); got != "u1 a1 u2 c:x t:x a2 | u3" {
		t.Errorf("sent %q", got)
	}
	if prompt.Overlap != 6 {
		t.Errorf("overlap %d, want 6", prompt.Overlap)
	}
}

func TestCompose_depends_on_the_log_and_not_on_how_much_of_it_was_loaded(t *testing.T) {
	s := &Session{}
	for i := range 100 {
		addTurn(s, script(t, fmt.Sprintf("u%d*%d c:x t:x*%d a%d", i, 5+i%7, i%50+1, i)))
	}
	for _, p := range []Policy{{}, {Budget: 400}, {Budget: 3000}, {Budget: 700, OneOff: true}, {Strategy: Window, Window: 7}, {Strategy: Window, Budget: 900}} {
		for _, asks := range []string{"uz", "a98 u99 c:x t:x a99 uz"} {
			in := asking(t, asks)
			least := loaded(s, p.Need(in))
			if p.Budget != 0 && len(least.Turns) > 60 {
				t.Errorf("%+v needs %d turns", p, len(least.Turns))
			}
			if got, want := composeFrom(&ledger{turns: s.Turns}, least, in, p, nil), compose(s, in, p, nil); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v: sent %q, with everything loaded %q", p, words(got.History), words(want.History))
			}
		}
	}
}

func TestCompose_changes_neither_the_session_nor_the_request(t *testing.T) {
	s, same := session(t, "u1 a1", "u2 c:x", "u3 a3"), session(t, "u1 a1", "u2 c:x", "u3 a3")
	in := asking(t, "u2 c:x u4")
	in.Messages[2].Tokens = 0
	c := &Counter{Message: func(raw string) int { return len(raw) / 4 }}
	prompt := compose(s, in, Policy{Budget: 60, OneOff: true}, c)
	if got := prompt.New[len(prompt.New)-1].Tokens; got == 0 {
		t.Error("the new message was to be counted")
	}
	if !reflect.DeepEqual(s, same) {
		t.Error("the session was changed")
	}
	if in.Messages[2].Tokens != 0 {
		t.Error("the request was changed")
	}
	prompt.New[0].Raw = ""
	if got := words(in.Messages); got != "u2 c:x u4" {
		t.Errorf("the prompt shares its messages with the request, now %q", got)
	}
}

func BenchmarkCompose(b *testing.B) {
	for _, turns := range []int{10, 25, 100, 500, 1000} {
		s := &Session{System: `[{"role":"system","content":"` + strings.Repeat("be kind ", 250) + `"}]`}
		for i := range turns {
			addTurn(s, script(b, fmt.Sprintf("u%d*40 a%d*120", i, i)))
		}
		in := asking(b, "u*0")
		in.Fixed = []string{`[{"type":"function","function":{"name":"f"}}]`}
		c := &Counter{Message: func(raw string) int { return len(raw) / 4 }, Fixed: func(raw string) int { return len(raw) / 4 }}
		for _, p := range []struct {
			name   string
			policy Policy
		}{
			{"all", Policy{}},
			{"trim 8k", Policy{Budget: 8000}},
			{"one-off 8k", Policy{Budget: 8000, OneOff: true}},
			{"window 20", Policy{Strategy: Window, Window: 20, Budget: 8000}},
		} {
			b.Run(fmt.Sprintf("%d messages/%s", 2*turns, p.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					prompt := compose(s, in, p.policy, c)
					if len(prompt.New) != 1 {
						b.Fatal("the question is lost")
					}
				}
			})
		}
	}
}

// compose is what a request to the session's end gets.
func compose(s *Session, in *Incoming, p Policy, c *Counter) Prompt {
	return composeFrom(&ledger{turns: s.Turns}, s, in, p, c)
}

// composeFrom does so when the session is the end of a log.
func composeFrom(log Log, s *Session, in *Incoming, p Policy, c *Counter) Prompt {
	b, err := Reconcile(context.Background(), log, Key{}, s, in, p.Need(in))
	if err != nil {
		panic(err)
	}
	return b.Compose(in, p, c)
}
