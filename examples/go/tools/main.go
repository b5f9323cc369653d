// Command tools is a tool call across two calls: the second sends the tool's
// result and nothing else.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

var weatherTool = openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
	Name:        "get_weather",
	Description: openai.String("The weather in a city right now."),
	Parameters: openai.FunctionParameters{
		"type":       "object",
		"properties": map[string]any{"city": map[string]any{"type": "string"}},
		"required":   []string{"city"},
	},
})

func main() {
	client := openai.NewClient(
		option.WithBaseURL(setting("MNEMO_URL", "http://127.0.0.1:8080/v1")),
		option.WithAPIKey(setting("OPENAI_API_KEY", "demo")),
		option.WithHeader("X-Session-ID", "example-"+rand.Text()),
	)
	calls := send(client, openai.UserMessage("What is the weather in Oslo?")).ToolCalls
	if len(calls) == 0 {
		log.Fatal("the model called no tool")
	}
	var results []openai.ChatCompletionMessageParamUnion
	for _, call := range calls {
		fmt.Printf("call: %s(%s)\n", call.Function.Name, call.Function.Arguments)
		results = append(results, openai.ToolMessage(weather(call.Function.Arguments), call.ID))
	}
	// The question and the call are in the session: only the results are new.
	answer := send(client, results...).Content
	fmt.Println(answer)
	if !strings.Contains(answer, "Oslo") {
		log.Fatal("the answer does not name the city that was asked about: there was no memory")
	}
}

func send(client openai.Client, messages ...openai.ChatCompletionMessageParamUnion) openai.ChatCompletionMessage {
	completion, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:    openai.ChatModelGPT5_4Mini,
		Messages: messages,
		Tools:    []openai.ChatCompletionToolUnionParam{weatherTool},
	})
	if err != nil {
		log.Fatal(err)
	}
	return completion.Choices[0].Message
}

func weather(arguments string) string {
	var where struct {
		City string `json:"city"`
	}
	if err := json.Unmarshal([]byte(arguments), &where); err != nil {
		log.Fatal(err)
	}
	if where.City == "Oslo" {
		return "7 degrees Celsius, light rain"
	}
	return "unknown"
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
