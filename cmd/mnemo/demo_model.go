package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"mnemo/memory/tokens"
)

const (
	// demoModelName is the model that the demo's upstream lists. It answers under
	// whatever name it is called by.
	demoModelName = "mnemo-demo"

	// demoBody bounds a request's body, in bytes.
	demoBody = 4 << 20
)

// A demoModel is a small upstream behind real HTTP: chat completions and models
// as OpenAI's API has them. It keeps nothing between two calls: all that it can
// know is in the messages that it receives. The same messages get the same
// answer.
type demoModel struct {
	server   *http.Server
	listener net.Listener
	done     chan struct{}
	started  time.Time
	pause    time.Duration // between two words of a stream
	calls    atomic.Int64
}

// startDemoModel starts the model on a free loopback port. With a pause its
// streams can be watched. Close stops it.
func startDemoModel(ctx context.Context, pause time.Duration) (*demoModel, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start demo model: %w", err)
	}
	m := &demoModel{listener: listener, done: make(chan struct{}), started: time.Now(), pause: pause}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", m.serveChat)
	mux.HandleFunc("GET /v1/models", m.serveModels)
	mux.HandleFunc("GET /v1/models/{name}", m.serveModel)
	mux.HandleFunc("/", m.serveUnknown)
	m.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // the demo's output is for its conversations
	}
	go func() {
		defer close(m.done)
		_ = m.server.Serve(listener) // ends with Close
	}()
	return m, nil
}

// url is the model's base URL, with /v1.
func (m *demoModel) url() string { return "http://" + m.listener.Addr().String() + "/v1" }

// close stops the model and cuts what it is saying.
func (m *demoModel) close() error {
	err := m.server.Close()
	<-m.done
	return err
}

// Private

func (m *demoModel) serveChat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, demoBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		(&demoError{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the demo model takes %d bytes", demoBody)}).write(w)
		return
	}
	if err != nil {
		return // the client left
	}
	request, bad := parseDemoRequest(body)
	if bad != nil {
		bad.write(w)
		return
	}
	n := m.calls.Add(1)
	reply := request.answer(n)
	completion := demoCompletion{
		ID: fmt.Sprintf("chatcmpl-demo-%d", n), Created: time.Now().Unix(), Model: request.Model,
	}
	if request.Stream {
		m.stream(r.Context(), w, request, completion, reply)
		return
	}
	completion.Object = "chat.completion"
	completion.Choices = []demoChoice{{Message: reply, FinishReason: reply.finish()}}
	usage, _ := json.Marshal(request.usage(reply))
	completion.Usage = usage
	writeDemoJSON(w, http.StatusOK, completion)
}

type demoListing struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (m *demoModel) listing() demoListing {
	return demoListing{ID: demoModelName, Object: "model", Created: m.started.Unix(), OwnedBy: "mnemo"}
}

func (m *demoModel) serveModels(w http.ResponseWriter, _ *http.Request) {
	writeDemoJSON(w, http.StatusOK, map[string]any{"object": "list", "data": []demoListing{m.listing()}})
}

func (m *demoModel) serveModel(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name != demoModelName {
		(&demoError{
			Status: http.StatusNotFound, Code: "model_not_found", Param: "model",
			Message: fmt.Sprintf("the demo has one model, %s, not %q", demoModelName, name),
		}).write(w)
		return
	}
	writeDemoJSON(w, http.StatusOK, m.listing())
}

func (m *demoModel) serveUnknown(w http.ResponseWriter, r *http.Request) {
	(&demoError{
		Status: http.StatusNotFound, Code: "unknown_url",
		Message: fmt.Sprintf("the demo model has no %s %s: it serves POST /v1/chat/completions and GET /v1/models", r.Method, r.URL.Path),
	}).write(w)
}

// usage counts as OpenAI does.
func (r *demoRequest) usage(reply *demoReply) demoUsage {
	count := tokens.For(r.Model)
	u := demoUsage{PromptTokens: tokens.ReplyPriming + count.CountTools(string(r.Tools))}
	for _, raw := range r.Messages {
		u.PromptTokens += count.CountMessage(string(raw))
	}
	if reply.Content != nil {
		u.CompletionTokens = count.Count(*reply.Content)
	} else {
		calls, _ := json.Marshal(reply)
		u.CompletionTokens = count.CountMessage(string(calls))
	}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	return u
}
