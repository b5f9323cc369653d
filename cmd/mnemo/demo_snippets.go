package main

import "strings"

// A demoSnippet is a program to paste into a terminal.
type demoSnippet struct {
	language string
	install  string // what it needs once; "" if nothing
	command  string
}

// String is the snippet with its title.
func (s demoSnippet) String() string {
	title := "--- " + s.language + " " + strings.Repeat("-", 60-len(s.language)) + "\n"
	if s.install != "" {
		title += s.install + "\n"
	}
	return title + s.command
}

// demoSnippets are the same two calls in several languages, to the API at a base
// URL.
func demoSnippets(url string) []demoSnippet {
	// A tab that is pasted into a terminal may ask for a completion.
	fill := strings.NewReplacer("{url}", url, "{model}", demoModelName, "\t", "    ")
	snippets := []demoSnippet{
		{"curl", "", curlSnippet},
		{"Python", "pip install openai", pythonSnippet},
		{"JavaScript", "npm install openai", javascriptSnippet},
		{"Go", goInstall, goSnippet},
	}
	for i := range snippets {
		snippets[i].command = fill.Replace(snippets[i].command)
	}
	return snippets
}

// Private

const curlSnippet = `curl -sS {url}/chat/completions -H 'Content-Type: application/json' -H 'X-Session-ID: curl' \
  -d '{"model": "{model}", "messages": [{"role": "user", "content": "My name is Ada."}]}'
curl -sS {url}/chat/completions -H 'Content-Type: application/json' -H 'X-Session-ID: curl' \
  -d '{"model": "{model}", "messages": [{"role": "user", "content": "What is my name?"}]}'`

const pythonSnippet = `python3 - <<'EOF'
from openai import OpenAI

client = OpenAI(base_url="{url}", api_key="demo", default_headers={"X-Session-ID": "python"})
for text in ["My name is Ada.", "What is my name?"]:
    answer = client.chat.completions.create(model="{model}", messages=[{"role": "user", "content": text}])
    print(answer.choices[0].message.content)
EOF`

const javascriptSnippet = `node --input-type=module <<'EOF'
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "{url}", apiKey: "demo", defaultHeaders: { "X-Session-ID": "javascript" } });
for (const content of ["My name is Ada.", "What is my name?"]) {
  const answer = await client.chat.completions.create({ model: "{model}", messages: [{ role: "user", content }] });
  console.log(answer.choices[0].message.content);
}
EOF`

const goInstall = `mkdir -p mnemo-demo && cd mnemo-demo && go mod init mnemo-demo && go get github.com/openai/openai-go/v3`

const goSnippet = `cat > main.go <<'EOF'
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	client := openai.NewClient(option.WithBaseURL("{url}"), option.WithAPIKey("demo"), option.WithHeader("X-Session-ID", "go"))
	for _, text := range []string{"My name is Ada.", "What is my name?"} {
		answer, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
			Model:    "{model}",
			Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer.Choices[0].Message.Content)
	}
}
EOF
go run main.go`
