package proxy

import (
	"github.com/tidwall/gjson"

	"mnemo/telemetry"
)

const (
	// bytesPerToken is what a token of English has, about.
	bytesPerToken = 4
	// replyPriming is the tokens that begin each reply.
	replyPriming = 3
	// emptyReply is a message that adds to its text what no upstream counts as output.
	emptyReply = `{"role":"assistant","content":""}`
)

// Private

// estimate counts an answer whose upstream reported no usage, as far as it was
// delivered.
func (a *account) estimate(messages, thoughts []string) telemetry.Usage {
	usage := telemetry.Usage{Source: telemetry.Estimated, Input: a.prompt()}
	model := a.call.RequestModel
	for _, message := range messages {
		usage.Output += a.countReply(model, message)
	}
	for _, text := range thoughts {
		thought := a.countText(model, text)
		usage.Reasoning += thought
		usage.Output += thought
	}
	return usage
}

// prompt is the tokens of the prompt: as they were reported, or else counted.
func (a *account) prompt() int {
	switch u := &a.call.Usage; {
	case a.counted > 0:
		return a.counted
	case u.Source == telemetry.Measured && u.Input > 0:
		return u.Input
	}
	if a.counted = replyPriming + int(a.bulk/bytesPerToken); a.rough {
		a.counted += len(a.sent) / bytesPerToken
		return a.counted
	}
	counter := a.s.Counter(a.call.RequestModel)
	gjson.Parse(a.sent).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "messages":
			value.ForEach(func(_, m gjson.Result) bool {
				a.counted += counter.Message(m.Raw)
				return true
			})
		case "tools", "functions", "response_format":
			a.counted += counter.Fixed(value.Raw)
		}
		return true
	})
	return a.counted
}

// countReply counts a message as a model wrote it.
func (a *account) countReply(model, message string) int {
	if a.rough {
		return max(0, len(message)-len(emptyReply)) / bytesPerToken
	}
	return a.s.countReply(model, message)
}

// countText counts a text that no message frames.
func (a *account) countText(model, text string) int {
	if text == "" {
		return 0
	}
	message := append([]byte(`{"role":"assistant","content":`), gjson.AppendJSONString(nil, text)...)
	return a.countReply(model, string(append(message, '}')))
}

func (s *Server) countReply(model, message string) int {
	counter := s.Counter(model)
	return max(0, counter.Message(message)-counter.Message(emptyReply))
}
