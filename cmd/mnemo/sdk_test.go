package main

import (
	"errors"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func TestSDK_sends_the_newest_message_only_and_is_remembered(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, sqliteBackend(t).setup(up))
	client, ctx := sdk(m, clientKey, "sdk-1"), t.Context()
	if _, err := client.Chat.Completions.New(ctx, says("gpt-4o", "My name is Ada.")); err != nil {
		t.Fatal(err)
	}
	completion, err := client.Chat.Completions.New(ctx, says("gpt-4o", "What is my name?"))
	if err != nil {
		t.Fatal(err)
	}
	if got := completion.Choices[0].Message.Content; got != "Your name is Ada." {
		t.Errorf("it says %q", got)
	}
	if completion.Usage.PromptTokens != 3 { // a message is a token
		t.Errorf("usage is %+v", completion.Usage)
	}
	other := sdk(m, clientKey, "sdk-2")
	completion, err = other.Chat.Completions.New(ctx, says("gpt-4o", "What is my name?"))
	if err != nil || completion.Choices[0].Message.Content != "I do not know your name." {
		t.Errorf("another session hears %+v, %v", completion, err)
	}
}

func TestSDK_streams_and_is_remembered(t *testing.T) {
	up := newFakeModel(t)
	m := serve(t, sqliteBackend(t).setup(up))
	client := sdk(m, clientKey, "sdk-1")
	if said, _ := sdkStream(t, client, says("gpt-4o", "My name is Ada.")); said == "" {
		t.Error("nothing is streamed")
	}
	said, usage := sdkStream(t, client, says("gpt-4o", "What is my name?"))
	if said != "Your name is Ada." || usage != 0 {
		t.Errorf("it says %q and reports %d tokens to who did not ask", said, usage)
	}
	asking := says("gpt-4o", "What is my name?")
	asking.StreamOptions.IncludeUsage = openai.Bool(true)
	if said, usage = sdkStream(t, client, asking); said != "Your name is Ada." || usage != 5 {
		t.Errorf("it says %q and reports %d tokens, want 5", said, usage)
	}
}

func TestSDK_gets_errors_of_its_own_type(t *testing.T) {
	up := newFakeModel(t)
	const hash = "sha256:a35c2ddd0b3a54d7a4f8f5b4a8a4f9bf4d4f41f9d5d7f7d8a4a6dcd0a1d3e7f1"
	open := serve(t, setup{environ: []string{"MNEMO_RETRIES=0"}, args: []string{"--upstream", up.url}})
	locked := serve(t, setup{args: []string{"--upstream", up.url}, file: "auth: {keys: [{name: app, hash: \"" + hash + "\"}]}\n"})
	gone := serve(t, setup{environ: []string{"MNEMO_RETRIES=0"}, args: []string{"--upstream", "http://127.0.0.1:1/v1"}})
	stuck := serve(t, setup{args: []string{"--upstream", up.url, "--store", "redis://127.0.0.1:1"}, file: "store: {on_error: closed}\n"})
	for _, c := range []struct {
		name    string
		m       *mnemo
		session string
		model   string
		status  int
		code    string
	}{
		{"the upstream refuses the key", open, "s", "401", http.StatusUnauthorized, "upstream_401"},
		{"the upstream refuses the request", open, "s", "400", http.StatusBadRequest, "upstream_400"},
		{"the upstream limits the rate", open, "s", "429", http.StatusTooManyRequests, "upstream_429"},
		{"the upstream is overloaded", open, "s", "503", http.StatusServiceUnavailable, "upstream_503"},
		{"a session id with a blank", open, "a b", "gpt-4o", http.StatusBadRequest, "invalid_session_id"},
		{"no key of mnemo's", locked, "s", "gpt-4o", http.StatusUnauthorized, "invalid_api_key"},
		{"no upstream", gone, "s", "gpt-4o", http.StatusBadGateway, "upstream_unreachable"},
		{"no store, which is needed", stuck, "s", "gpt-4o", http.StatusServiceUnavailable, "store_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := sdk(c.m, clientKey, c.session)
			var got *openai.Error
			_, err := client.Chat.Completions.New(t.Context(), says(c.model, "Hello."))
			if !errors.As(err, &got) || got.StatusCode != c.status || got.Code != c.code || got.Message == "" {
				t.Errorf("plain: %v", err)
			}
			stream := client.Chat.Completions.NewStreaming(t.Context(), says(c.model, "Hello."))
			defer stream.Close()
			if got = nil; stream.Next() || !errors.As(stream.Err(), &got) || got.StatusCode != c.status || got.Code != c.code {
				t.Errorf("streamed: %v", stream.Err())
			}
		})
	}
}

func sdk(m *mnemo, key, session string) openai.Client {
	return openai.NewClient(option.WithBaseURL(m.url+"/v1"), option.WithAPIKey(key), option.WithHTTPClient(m.http),
		option.WithMaxRetries(0), option.WithHeader("X-Session-ID", session))
}

func says(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

// sdkStream returns the whole text of a stream and the prompt tokens it reports.
func sdkStream(t *testing.T, client openai.Client, params openai.ChatCompletionNewParams) (said string, tokens int64) {
	t.Helper()
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	defer stream.Close()
	for stream.Next() {
		chunk := stream.Current()
		for _, choice := range chunk.Choices {
			said += choice.Delta.Content
		}
		tokens += chunk.Usage.PromptTokens
	}
	if err := stream.Err(); err != nil {
		t.Error(err)
	}
	return said, tokens
}
