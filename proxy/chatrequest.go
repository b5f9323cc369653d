package proxy

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

// A chatRequest is the body of a chat completion call, parsed once. The body
// itself is never rebuilt: what goes upstream is the client's own bytes with
// edits spliced in.
type chatRequest struct {
	body     string
	model    string
	stream   bool
	size     answerSize
	incoming memory.Incoming

	messages span // the value of "messages"
	options  span // the value of "stream_options"; empty if there is none
	end      int  // where the body's closing brace stands
	empty    bool // the body has no members besides
	// usage says what the client's stream_options ask for.
	usage usageWish
}

type usageWish int

const (
	usageUnset   usageWish = iota // no include_usage, or no stream_options
	usageRefused                  // include_usage is false
	usageWanted                   // include_usage is true: nothing is added or withheld
	usageUnknown                  // stream_options is no object: the upstream may judge it
)

// A span is a part of the body, from and to byte offsets.
type span struct{ from, to int }

// An edit replaces a span.
type edit struct {
	span
	text string
}

// parseChat reads the body of a chat completion call. Errors are the client's.
func parseChat(body string, maxDepth int) (*chatRequest, error) {
	if depth := nesting(body, maxDepth); depth > maxDepth {
		return nil, apierror.BadRequest("body_too_deep", "", "the body is nested more than %d levels deep; limits.depth raises that", maxDepth)
	}
	if !gjson.Valid(body) { // calls itself for every level
		return nil, apierror.BadRequest("invalid_json", "", "the body is not valid JSON")
	}
	root := gjson.Parse(body)
	if !root.IsObject() {
		return nil, apierror.BadRequest("invalid_json", "", "the body must be a JSON object")
	}
	r := &chatRequest{body: body, end: strings.LastIndexByte(body, '}'), empty: true}
	var err error
	root.ForEach(func(key, value gjson.Result) bool {
		r.empty = false
		err = r.member(key.String(), value)
		return err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case r.messages == span{}:
		return nil, apierror.BadRequest("missing_messages", "messages", "the body has no messages")
	}
	return r, nil
}

// upstreamBody is the body with messages in place of the client's own, and with
// usage asked for if askUsage says so.
func (r *chatRequest) upstreamBody(prompt *memory.Prompt, askUsage bool) string {
	edits := make([]edit, 0, 2)
	if prompt != nil {
		edits = append(edits, edit{r.messages, ""})
	}
	if askUsage {
		edits = append(edits, r.usageEdit())
	}
	if len(edits) == 0 {
		return r.body
	}
	if len(edits) == 2 && edits[1].from < edits[0].from {
		edits[0], edits[1] = edits[1], edits[0]
	}
	size := len(r.body) + 64
	if prompt != nil {
		size += promptSize(prompt)
	}
	out, at := make([]byte, 0, size), 0
	for _, e := range edits {
		out = append(out, r.body[at:e.from]...)
		if prompt != nil && e.span == r.messages {
			out = prompt.AppendMessages(out)
		} else {
			out = append(out, e.text...)
		}
		at = e.to
	}
	out = append(out, r.body[at:]...)
	return ownString(out)
}

// mayAskUsage reports whether asking for usage would change the body: the call
// streams and the client has not asked itself.
func (r *chatRequest) mayAskUsage() bool {
	return r.stream && (r.usage == usageUnset || r.usage == usageRefused)
}

// Private

func (r *chatRequest) member(key string, value gjson.Result) error {
	at := span{value.Index, value.Index + len(value.Raw)}
	switch key {
	case "messages":
		if r.messages != (span{}) {
			return apierror.BadRequest("duplicate_messages", "messages", "the body has two members named messages")
		}
		r.messages = at
		return r.readMessages(value)
	case "model":
		if value.Type == gjson.String {
			r.model = strings.Clone(value.String()) // a part of the body would keep all of it
		}
	case "stream":
		r.stream = value.Type == gjson.True
	case "stream_options":
		r.options = at
		r.usage = wishOf(value)
	case "tools", "functions", "response_format":
		r.incoming.Fixed = append(r.incoming.Fixed, value.Raw)
	default:
		r.size.read(key, value)
	}
	return nil
}

func (r *chatRequest) readMessages(value gjson.Result) (err error) {
	if !value.IsArray() {
		return apierror.BadRequest("invalid_messages", "messages", "messages must be an array")
	}
	value.ForEach(func(_, item gjson.Result) bool {
		m, parseErr := memory.ParseMessage(item.Raw)
		if parseErr != nil {
			n := len(r.incoming.System) + len(r.incoming.Messages)
			err = apierror.BadRequest("invalid_message", "messages["+strconv.Itoa(n)+"]", "%v", parseErr)
			return false
		}
		if m.IsSystem() {
			r.incoming.System = append(r.incoming.System, m)
		} else {
			r.incoming.Messages = append(r.incoming.Messages, m)
		}
		return true
	})
	if err == nil && len(r.incoming.System)+len(r.incoming.Messages) == 0 {
		return apierror.BadRequest("missing_messages", "messages", "messages is empty")
	}
	return err
}

func wishOf(options gjson.Result) usageWish {
	if options.Type == gjson.Null {
		return usageUnset
	}
	if !options.IsObject() {
		return usageUnknown
	}
	switch wish := options.Get("include_usage"); {
	case wish.Type == gjson.True:
		return usageWanted
	case wish.Exists():
		return usageRefused
	}
	return usageUnset
}

// usageEdit asks for usage and keeps every other member of stream_options.
func (r *chatRequest) usageEdit() edit {
	const ask = `"include_usage":true`
	if r.options == (span{}) {
		comma := ","
		if r.empty {
			comma = ""
		}
		return edit{span{r.end, r.end}, comma + `"stream_options":{` + ask + `}`}
	}
	options := gjson.Parse(r.body[r.options.from:r.options.to])
	if !options.IsObject() {
		return edit{r.options, `{` + ask + `}`}
	}
	if had := options.Get("include_usage"); had.Exists() {
		from := r.options.from + had.Index
		return edit{span{from, from + len(had.Raw)}, "true"}
	}
	comma := ","
	if len(options.Map()) == 0 {
		comma = ""
	}
	from := r.options.from + 1
	return edit{span{from, from}, ask + comma}
}

func promptSize(p *memory.Prompt) (n int) {
	for _, part := range [...][]memory.Message{p.System, p.New} {
		for i := range part {
			n += len(part[i].Raw) + 1
		}
	}
	for _, m := range p.History {
		n += len(m.Raw) + 1
	}
	return n + 2
}

// nesting is how deep arrays and objects of a JSON text stand in one another. It
// stops counting above limit, so that a hostile text costs no stack: the JSON
// validator behind it calls itself.
func nesting(body string, limit int) (deepest int) {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = stringEnd(body, i+1)
		case '{', '[':
			if depth++; depth > deepest {
				if deepest = depth; deepest > limit {
					return deepest
				}
			}
		case '}', ']':
			depth--
		}
	}
	return deepest
}

// validJSON checks a text of which nothing is known.
func validJSON(text string, maxDepth int) bool {
	return nesting(text, maxDepth) <= maxDepth && gjson.Valid(text)
}

// stringEnd returns where the quote stands that ends the string from at on, or
// the end of the body.
func stringEnd(body string, at int) int {
	for {
		n := strings.IndexByte(body[at:], '"')
		if n < 0 {
			return len(body)
		}
		end := at + n
		escapes := 0
		for end-escapes > at && body[end-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
		at = end + 1
	}
}
