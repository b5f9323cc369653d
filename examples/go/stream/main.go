// Command stream is a streamed chat that remembers: two calls, each with the
// newest message only.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	client := openai.NewClient(
		option.WithBaseURL(setting("MNEMO_URL", "http://127.0.0.1:8080/v1")),
		option.WithAPIKey(setting("OPENAI_API_KEY", "demo")),
		option.WithHeader("X-Session-ID", "example-"+rand.Text()),
	)
	answer := ""
	for _, text := range []string{"My name is Ada and I live in Paris.", "What is my name?"} {
		var err error
		if answer, err = ask(client, text); err != nil {
			log.Fatal(err)
		}
	}
	if !strings.Contains(answer, "Ada") {
		log.Fatal("the second answer does not know the name: there was no memory")
	}
}

// ask prints the answer while it arrives.
func ask(client openai.Client, text string) (string, error) {
	stream := client.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:    openai.ChatModelGPT5_4Mini,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
	})
	var answer strings.Builder
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			fmt.Print(choice.Delta.Content)
			answer.WriteString(choice.Delta.Content)
		}
	}
	fmt.Println()
	return answer.String(), errors.Join(stream.Err(), stream.Close())
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
