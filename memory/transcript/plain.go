package transcript

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// Private

// plain makes a session of messages in OpenAI's form.
func (p *parser) plain(messages gjson.Result, model string) (err error) {
	p.doc.undated = true
	var instructions []string
	n := 0
	messages.ForEach(func(_, item gjson.Result) bool {
		p.at = item.Index
		var m memory.Message
		if m, err = memory.ParseMessage(item.Raw); err != nil {
			err = fmt.Errorf("messages[%d]: %w", n, err)
			return false
		}
		if n++; n > MaxMessages {
			err = errMessages
			return false
		}
		if m.IsSystem() {
			instructions = append(instructions, m.Raw)
			return true
		}
		p.say(m, model)
		return true
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("there are no messages")
	}
	doc := &p.doc
	if len(instructions) > 0 {
		doc.System = "[" + strings.Join(instructions, ",") + "]"
	}
	for i := range doc.Turns {
		if doc.Title = doc.Turns[i].Title(); doc.Title != "" {
			break
		}
	}
	return p.settle()
}

// say adds a message to the last turn, or a turn if the message begins one.
func (p *parser) say(m memory.Message, model string) {
	turns := p.doc.Turns
	if m.Role == memory.RoleUser || len(turns) == 0 {
		turns = append(turns, memory.Turn{Seq: int64(len(turns) + 1), ID: memory.NewTurnID(), Model: model})
	}
	last := &turns[len(turns)-1]
	last.Messages = append(last.Messages, m)
	p.doc.Turns = turns
}
