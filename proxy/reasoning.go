package proxy

import (
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"mnemo/memory"
)

// reasoningMembers are the members in which providers tell what a model thought before
// it answered, as text: DeepSeek's and, beside others, OpenRouter's. Some want it back
// with the turns that follow, most reject it.
var reasoningMembers = [...]string{"reasoning_content", "reasoning"}

// Private

// dropReasoning leaves out of stored messages what was thought, for upstreams that do not
// take it. The session's own messages stay as they are.
func (r *recall) dropReasoning() {
	if r.x.set.Pool.ReplayReasoning(r.request.model) {
		return
	}
	for i, m := range r.prompt.History {
		if m.Role != memory.RoleAssistant || !strings.Contains(m.Raw, `"reasoning`) {
			continue
		}
		plain := *m
		plain.Raw = withoutReasoning(m.Raw)
		r.prompt.History[i] = &plain
	}
}

func withoutReasoning(raw string) string {
	for _, name := range reasoningMembers {
		if cut, err := sjson.Delete(raw, name); err == nil {
			raw = cut
		}
	}
	return raw
}

// writeReasoning writes what was thought as members of a message, as it came.
func writeReasoning(b *strings.Builder, message gjson.Result) {
	for _, name := range reasoningMembers {
		if value := message.Get(name); value.Type == gjson.String && value.Str != "" {
			b.WriteString(`,"` + name + `":`)
			b.WriteString(value.Raw)
		}
	}
}
