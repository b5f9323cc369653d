package summarize

import (
	"testing"

	"go.uber.org/goleak"

	"mnemo/memory"
	"mnemo/memory/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter counts as gpt-4o does.
var counter = &memory.Counter{Message: tokens.For("gpt-4o").CountMessage}

// user, assistant and tool are messages with a text.
func user(text string) memory.Message      { return counted(messageOf(memory.RoleUser, text)) }
func assistant(text string) memory.Message { return counted(messageOf(memory.RoleAssistant, text)) }

func counted(m memory.Message) memory.Message {
	parsed, err := memory.ParseMessage(m.Raw)
	if err != nil {
		panic(err)
	}
	parsed.Tokens = counter.Message(parsed.Raw)
	return parsed
}

// pointers are the messages as a stretch has them.
func pointers(messages []memory.Message) []*memory.Message {
	all := make([]*memory.Message, len(messages))
	for i := range messages {
		all[i] = &messages[i]
	}
	return all
}

// tokensIn sums up messages.
func tokensIn(messages []memory.Message) int {
	t := memory.Turn{Messages: messages}
	return t.Tokens()
}
