package memory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// legalIn is the definition of what may stay of a log in front of new messages,
// as indexes.
func legalIn(log []*Message, fresh []Message, resent bool) []int {
	results := func(from, to int) bool {
		for _, m := range log[from:to] {
			if m.Role != RoleTool {
				return false
			}
		}
		return true
	}
	stays := make([]bool, len(log))
	for i, m := range log {
		stays[i] = m.Role != RoleTool
		if m.Role != RoleAssistant || len(m.Calls) == 0 {
			continue
		}
		for _, id := range m.Calls {
			found := false
			for j := i + 1; j < len(log) && results(i+1, j+1); j++ {
				found = found || log[j].CallID == id
			}
			stays[i] = stays[i] && found
		}
		if results(i+1, len(log)) {
			for j := 0; j < len(fresh) && fresh[j].Role == RoleTool; j++ {
				stays[i] = stays[i] || slices.Contains(m.Calls, fresh[j].CallID)
			}
			stays[i] = stays[i] || resent && len(fresh) == 0
		}
	}
	for j, m := range log {
		for i := range j {
			if m.Role == RoleTool && stays[i] && slices.Contains(log[i].Calls, m.CallID) && results(i+1, j) {
				stays[j] = true
			}
		}
	}
	var kept []int
	for i := range log {
		if stays[i] {
			kept = append(kept, i)
		}
	}
	return kept
}

// illegal says what an upstream would reject in messages, or "".
func illegal(messages []Message) string {
	open := map[string]bool{}
	known := map[string]bool{}
	for i, m := range messages {
		if m.Role == RoleTool {
			if !known[m.CallID] {
				return fmt.Sprintf("message %d answers no call: %s", i, m.Raw)
			}
			delete(open, m.CallID)
			continue
		}
		if len(open) > 0 {
			return fmt.Sprintf("message %d follows calls that nobody answered: %v", i, open)
		}
		if i == 0 && m.Role != RoleUser {
			return "it begins with " + m.Raw
		}
		clear(known)
		for _, id := range m.Calls {
			open[id], known[id] = true, true
		}
	}
	if len(open) > 0 {
		return fmt.Sprintf("it ends with calls that nobody answered: %v", open)
	}
	return ""
}

func TestIllegal_finds_each_fault(t *testing.T) {
	for _, bad := range []string{"a1", "t:x", "u1 t:x", "u1 c:x", "u1 c:x u2", "u1 c:x,y t:x a1", "u1 c:x t:x a1 t:x", "u1 c:x t:y t:x"} {
		if illegal(script(t, bad)) == "" {
			t.Errorf("%q passes for legal", bad)
		}
	}
	for _, good := range []string{"", "u1", "u1 a1", "u1 u2 a2", "u1 c:x,y t:y t:x a1 c:x t:x"} {
		if why := illegal(script(t, good)); why != "" {
			t.Errorf("%q: %s", good, why)
		}
	}
}

// Ids that are compared each with each take a minute here.
func TestLegal_a_step_of_very_many_calls(t *testing.T) {
	const n = 200_000
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("call_", i)
	}
	s := &Session{}
	messages := []Message{{Raw: "{}", Role: RoleUser}, {Raw: "{}", Role: RoleAssistant, Calls: ids}}
	for i := range ids {
		messages = append(messages, Message{Raw: "{}", Role: RoleTool, CallID: ids[n-1-i]})
	}
	addTurn(s, messages)
	if prompt := compose(s, asking(t, "u"), Policy{}, nil); len(prompt.History) != n+2 {
		t.Errorf("sent %d messages, want %d", len(prompt.History), n+2)
	}
	s.Turns[0].Messages = messages[:2]
	in := &Incoming{Messages: slices.Concat(messages[:0:0], messages[2:])}
	if prompt := compose(s, in, Policy{}, nil); len(prompt.History) != 2 {
		t.Errorf("sent %d messages, want 2", len(prompt.History))
	}
}

func TestLegal_foreign_results_do_not_save_a_step(t *testing.T) {
	var results strings.Builder
	for i := range 20 {
		fmt.Fprintf(&results, " t:q%d", i)
	}
	prompt := compose(session(t, "u1 c:x"), asking(t, results.String()), Policy{}, nil)
	if got := words(prompt.History); got != "u1" {
		t.Errorf("sent %q, want u1", got)
	}
}
