package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// demoCompletion is an answer, or one chunk of a streamed one.
type demoCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []demoChoice `json:"choices"`
	// Usage is left out, or null in all chunks but the last of a stream that asked
	// for it.
	Usage json.RawMessage `json:"usage,omitempty"`
}

type demoChoice struct {
	Index        int        `json:"index"`
	Message      *demoReply `json:"message,omitempty"`
	Delta        *demoDelta `json:"delta,omitempty"`
	LogProbs     *struct{}  `json:"logprobs"`
	FinishReason *string    `json:"finish_reason"`
}

// A demoReply is the assistant's message: text, or tool calls.
type demoReply struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	Refusal   *string    `json:"refusal"`
	ToolCalls []demoCall `json:"tool_calls,omitempty"`
}

type demoDelta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	ToolCalls []demoCall `json:"tool_calls,omitempty"`
}

type demoCall struct {
	Index    *int         `json:"index,omitempty"` // in chunks only
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function demoFunction `json:"function"`
}

type demoFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type demoUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// A demoError is an error in OpenAI's shape.
type demoError struct {
	Status               int
	Message, Param, Code string
}

func demoRefusal(code, param, format string, args ...any) *demoError {
	return &demoError{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Param: param, Code: code}
}

// Private

func (e *demoError) write(w http.ResponseWriter) {
	writeDemoJSON(w, e.Status, map[string]any{"error": map[string]any{
		"message": e.Message, "type": "invalid_request_error", "param": orNull(e.Param), "code": orNull(e.Code),
	}})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func writeDemoJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // a client that left needs no answer
}

// finish is the reply's finish_reason.
func (r *demoReply) finish() *string {
	reason := "stop"
	if r.ToolCalls != nil {
		reason = "tool_calls"
	}
	return &reason
}

// deltas cuts a reply into the pieces of a stream: text by words, calls into
// their head and the parts of their arguments.
func (r *demoReply) deltas() []demoDelta {
	empty := ""
	if r.Content != nil {
		deltas := []demoDelta{{Role: r.Role, Content: &empty}}
		for word := range strings.SplitAfterSeq(*r.Content, " ") {
			deltas = append(deltas, demoDelta{Content: &word})
		}
		return deltas
	}
	deltas := []demoDelta{{Role: r.Role}}
	for i, call := range r.ToolCalls {
		head := demoCall{Index: &i, ID: call.ID, Type: call.Type, Function: demoFunction{Name: call.Function.Name}}
		deltas = append(deltas, demoDelta{ToolCalls: []demoCall{head}})
		for part := range strings.SplitAfterSeq(call.Function.Arguments, " ") {
			deltas = append(deltas, demoDelta{ToolCalls: []demoCall{{Index: &i, Function: demoFunction{Arguments: part}}}})
		}
	}
	return deltas
}

// stream sends the reply as server-sent events until it is said or ctx ends.
func (m *demoModel) stream(ctx context.Context, w http.ResponseWriter, r *demoRequest, chunk demoCompletion, reply *demoReply) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	chunk.Object = "chat.completion.chunk"
	if r.wantsUsage() {
		chunk.Usage = json.RawMessage("null")
	}
	send := func(choices ...demoChoice) bool {
		chunk.Choices = choices
		text, _ := json.Marshal(chunk)
		_, err := fmt.Fprintf(w, "data: %s\n\n", text)
		return err == nil && out.Flush() == nil
	}
	for i, delta := range reply.deltas() {
		if i > 1 && !wait(ctx, m.pause) || !send(demoChoice{Delta: &delta}) {
			return
		}
	}
	if !send(demoChoice{Delta: &demoDelta{}, FinishReason: reply.finish()}) {
		return
	}
	if r.wantsUsage() {
		chunk.Usage, _ = json.Marshal(r.usage(reply))
		if !send([]demoChoice{}...) {
			return
		}
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// wait reports whether ctx outlived the time.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
