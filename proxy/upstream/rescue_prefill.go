package upstream

import (
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Private

// rescues reports whether the body asks for one streamed choice.
func rescues(body string) bool {
	n := gjson.Get(body, "n")
	return asksStream(body) && (n.Type == gjson.Null || n.Int() == 1) && validJSON(body)
}

// prefilled is a valid body with a text, the inside of a JSON string, as the last
// message, the assistant's; or "" if that cannot be said there. Limits of the
// answer's length are lowered by what was spent.
func prefilled(body, inside string, spent int) string {
	messages := gjson.Get(body, "messages")
	if inside == "" || !messages.IsArray() || messages.Index == 0 {
		return ""
	}
	last, separator := "", ""
	messages.ForEach(func(_, message gjson.Result) bool {
		last, separator = message.Get("role").String(), ","
		return true
	})
	if last == "assistant" {
		return ""
	}
	end := messages.Index + len(messages.Raw) - 1
	body = strings.Join([]string{body[:end], separator, `{"role":"assistant","content":"`, inside, `"}`, body[end:]}, "")
	for _, limit := range [...]string{"max_tokens", "max_completion_tokens"} {
		if most := gjson.Get(body, limit); most.Type == gjson.Number {
			if lowered, err := sjson.Set(body, limit, max(most.Int()-int64(spent), 1)); err == nil {
				body = lowered
			}
		}
	}
	return body
}

// continues reports whether a candidate that may be asked takes a prefill.
func (c *call) continues() bool {
	for at := range c.candidates {
		if c.takes(at) && !c.spent(at) {
			return true
		}
	}
	return false
}

func (c *call) takes(at int) bool {
	return c.candidates[at].upstream.settings.Prefill && !c.trials[at].afresh
}

// body is what goes up to an upstream, but for the model.
func (c *call) body(f *flight) string {
	f.prefilled = c.prefill != "" && c.takes(c.at)
	if f.prefilled {
		return c.prefill
	}
	return c.request.Body
}
