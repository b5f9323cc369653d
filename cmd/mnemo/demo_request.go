package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"mnemo/memory"
)

// demoRoles are the roles that a message can have.
var demoRoles = []string{
	memory.RoleSystem, memory.RoleDeveloper, memory.RoleUser, memory.RoleAssistant, memory.RoleTool,
}

// A demoRequest is the body of a chat completion call, as far as the demo model
// understands it.
type demoRequest struct {
	Model         string            `json:"model"`
	Messages      []json.RawMessage `json:"messages"`
	Tools         json.RawMessage   `json:"tools"`
	ToolChoice    json.RawMessage   `json:"tool_choice"`
	N             *int              `json:"n"`
	Stream        bool              `json:"stream"`
	StreamOptions *demoOptions      `json:"stream_options"`

	said []demoMessage // Messages, read
}

type demoOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type demoMessage struct {
	Role       string     `json:"role"`
	Content    demoText   `json:"content"`
	ToolCallID string     `json:"tool_call_id"`
	ToolCalls  []demoCall `json:"tool_calls"`
}

// A demoText is the text of a content: a string, or its text parts joined.
type demoText string

// UnmarshalJSON reads a string, null or an array of parts.
func (t *demoText) UnmarshalJSON(raw []byte) error {
	content := gjson.ParseBytes(raw)
	switch {
	case content.Type == gjson.String:
		*t = demoText(content.String())
	case content.Type == gjson.Null:
	case content.IsArray():
		var texts []string
		for _, part := range content.Array() {
			if text := part.Get("text"); text.Exists() {
				texts = append(texts, text.String())
			}
		}
		*t = demoText(strings.Join(texts, " "))
	default:
		return errors.New("content must be a string or an array of parts")
	}
	return nil
}

// Private

// parseDemoRequest reads a body and refuses what OpenAI refuses.
func parseDemoRequest(body []byte) (*demoRequest, *demoError) {
	r := new(demoRequest)
	if err := json.Unmarshal(body, r); err != nil {
		return nil, demoRefusal("", "", "the body is no chat completion request: %v", err)
	}
	switch {
	case r.Model == "":
		return nil, demoRefusal("missing_required_parameter", "model", "you must provide a model")
	case len(r.Messages) == 0:
		return nil, demoRefusal("empty_array", "messages", "messages must hold at least one message")
	case r.N != nil && *r.N != 1:
		return nil, demoRefusal("unsupported_value", "n", "the demo model gives one answer: n must be 1")
	case r.StreamOptions != nil && !r.Stream:
		return nil, demoRefusal("", "stream_options", "stream_options is only allowed with stream")
	}
	for i, raw := range r.Messages {
		var m demoMessage
		at := fmt.Sprintf("messages[%d]", i)
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, demoRefusal("", at, "%s: %v", at, err)
		}
		if !slices.Contains(demoRoles, m.Role) {
			return nil, demoRefusal("invalid_value", at+".role", "%s.role must be one of %s", at, strings.Join(demoRoles, ", "))
		}
		r.said = append(r.said, m)
	}
	if bad := r.checkCalls(); bad != nil {
		return nil, bad
	}
	return r, r.checkTools()
}

// checkCalls refuses tool calls without a result and results without a call.
func (r *demoRequest) checkCalls() *demoError {
	var open []string
	for i, m := range r.said {
		at := fmt.Sprintf("messages[%d]", i)
		if m.Role == memory.RoleTool {
			n := slices.Index(open, m.ToolCallID)
			if n < 0 {
				return demoRefusal("", at, "%s: a tool message must answer a call of the assistant message before it", at)
			}
			open = slices.Delete(open, n, n+1)
			continue
		}
		if len(open) > 0 {
			return demoRefusal("", at, "%s: the call %q must be answered first", at, open[0])
		}
		for _, call := range m.ToolCalls {
			open = append(open, call.ID)
		}
	}
	if len(open) > 0 {
		return demoRefusal("", "messages", "the call %q is not answered", open[0])
	}
	return nil
}

func (r *demoRequest) checkTools() *demoError {
	names := gjson.GetBytes(r.Tools, "#.function.name").Array()
	wanted := gjson.GetBytes(r.ToolChoice, "function.name")
	if wanted.Exists() && !slices.ContainsFunc(names, func(n gjson.Result) bool { return n.String() == wanted.String() }) {
		return demoRefusal("", "tool_choice", "tool_choice names a tool that tools does not list: %q", wanted.String())
	}
	return nil
}

// last is the newest message.
func (r *demoRequest) last() demoMessage { return r.said[len(r.said)-1] }

// wantsUsage reports whether a stream is to end with its usage.
func (r *demoRequest) wantsUsage() bool {
	return r.StreamOptions != nil && r.StreamOptions.IncludeUsage
}
