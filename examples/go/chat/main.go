// Command chat is a chat that remembers: two calls, each with the newest message
// only.
package main

import (
	"context"
	"crypto/rand"
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
	fmt.Println(ask(client, "My name is Ada and I live in Paris."))
	answer := ask(client, "What is my name?")
	fmt.Println(answer)
	if !strings.Contains(answer, "Ada") {
		log.Fatal("the second answer does not know the name: there was no memory")
	}
}

func ask(client openai.Client, text string) string {
	completion, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:    openai.ChatModelGPT5_4Mini,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
	})
	if err != nil {
		log.Fatal(err)
	}
	return completion.Choices[0].Message.Content
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
