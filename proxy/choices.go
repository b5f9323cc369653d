package proxy

import "github.com/tidwall/gjson"

const (
	// maxChoices is how many choices of a stream are gathered; OpenAI gives no more.
	maxChoices = 128
	// othersLimit bounds what is gathered of all choices but the first, in bytes.
	othersLimit = 4 << 20
)

// Private

// other is where a choice that is not the first is gathered: it is counted if the
// upstream reports no usage, and never stored. nil: there is no room for it.
func (r *reply) other(index int64, size int) *reply {
	if r.beside += size; r.beside > othersLimit {
		return nil
	}
	for i := range r.others {
		if r.others[i].index == index {
			return &r.others[i]
		}
	}
	if len(r.others)+1 >= maxChoices {
		return nil
	}
	r.others = append(r.others, reply{index: index, limit: othersLimit})
	return &r.others[len(r.others)-1]
}

// messages is what every choice says.
func (r *reply) messages() []string {
	first, _ := r.message(false)
	list := append(make([]string, 0, 1+len(r.others)), first)
	for i := range r.others {
		more, _ := r.others[i].message(false)
		list = append(list, more)
	}
	return list
}

// thoughts is what the models thought before they said that, whether it is kept or not.
func (r *reply) thought() (list []string) {
	if i := r.thinking(); i >= 0 && !r.reasoning {
		list = append(list, gjson.Parse(`"`+string(r.thoughts[i].inside)+`"`).String())
	}
	for i := range r.others {
		list = append(list, r.others[i].thought()...)
	}
	return list
}

// finishes is why each choice ended; nil if there is but one.
func (r *reply) finishes() (reasons []string) {
	if len(r.others) == 0 {
		return nil
	}
	reasons = append(reasons, r.finish)
	for i := range r.others {
		reasons = append(reasons, r.others[i].finish)
	}
	return reasons
}

// wholeMessages is what every choice of a complete answer says.
func wholeMessages(body string) (list []string) {
	gjson.Get(body, "choices").ForEach(func(_, choice gjson.Result) bool {
		list = append(list, messageOf(choice.Get("message"), true))
		return len(list) < maxChoices
	})
	return list
}

// closed ends a JSON text that was cut, so that what came of it can be read.
func closed(text string) string {
	var open []byte
	quoted, escaped := false, -1
	for i := range len(text) {
		switch c := text[i]; {
		case quoted && c == '\\' && escaped != i:
			escaped = i + 1
		case c == '"' && escaped != i:
			quoted = !quoted
		case quoted:
		case c == '{':
			open = append(open, '}')
		case c == '[':
			open = append(open, ']')
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	end := []byte(text)
	if escaped == len(text) {
		end = end[:len(end)-1]
	}
	if quoted {
		end = append(end, '"')
	}
	for len(open) > 0 {
		end, open = append(end, open[len(open)-1]), open[:len(open)-1]
	}
	return string(end)
}
