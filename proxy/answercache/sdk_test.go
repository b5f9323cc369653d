package answercache

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"
)

func TestStream_is_for_the_Go_SDK_what_the_JSON_is(t *testing.T) {
	client := openai.NewClient(option.WithBaseURL(sampleServer(t)), option.WithAPIKey("none"), option.WithMaxRetries(0))
	for name := range samples {
		params := openai.ChatCompletionNewParams{Model: name, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello.")}}
		whole, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var streamed openai.ChatCompletionAccumulator
		params.StreamOptions.IncludeUsage = openai.Bool(true)
		stream := client.Chat.Completions.NewStreaming(t.Context(), params)
		for stream.Next() {
			if !streamed.AddChunk(stream.Current()) {
				t.Errorf("%s: the accumulator refuses %s", name, stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		compareGo(t, name, whole, &streamed.ChatCompletion)
	}
}

// compareGo looks at what the SDK's types and its accumulator know.
func compareGo(t *testing.T, name string, whole, streamed *openai.ChatCompletion) {
	t.Helper()
	if whole.ID != streamed.ID || whole.Model != streamed.Model || whole.Created != streamed.Created ||
		whole.Usage.TotalTokens != streamed.Usage.TotalTokens || len(whole.Choices) != len(streamed.Choices) {
		t.Errorf("%s: %+v\nstreamed: %+v", name, whole, streamed)
		return
	}
	for i := range whole.Choices {
		a, b := &whole.Choices[i], &streamed.Choices[i]
		if a.FinishReason != b.FinishReason || a.Message.Content != b.Message.Content || a.Message.Refusal != b.Message.Refusal ||
			a.Message.Role != b.Message.Role || len(a.Logprobs.Content) != len(b.Logprobs.Content) || len(a.Message.ToolCalls) != len(b.Message.ToolCalls) {
			t.Errorf("%s: %+v\nstreamed: %+v", name, a, b)
			continue
		}
		for j := range a.Message.ToolCalls {
			x, y := &a.Message.ToolCalls[j], &b.Message.ToolCalls[j]
			if x.ID != y.ID || x.Type != y.Type || x.Function.Name != y.Function.Name || x.Function.Arguments != y.Function.Arguments {
				t.Errorf("%s: %+v\nstreamed: %+v", name, x, y)
			}
		}
	}
}

func TestStream_is_for_the_JavaScript_SDK_what_the_JSON_is(t *testing.T) {
	dir := javascriptSDK(t)
	names := slices.Sorted(maps.Keys(samples))
	// Of custom tools it says itself that it does not put them together.
	names = slices.DeleteFunc(names, func(name string) bool { return name == "a custom tool" || name == "no usage and less" })
	models, _ := json.Marshal(names)
	c := exec.CommandContext(t.Context(), "node", "accumulate.mjs")
	c.Dir = dir
	c.Env = append(os.Environ(), "BASE_URL="+sampleServer(t), "MODELS="+string(models))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) {
		t.Fatalf("%d answers, want %d:\n%s", len(lines), len(names), out)
	}
	for _, line := range lines {
		var got struct {
			Model           string
			Whole, Streamed any
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		whole, streamed := said(got.Whole), said(got.Streamed)
		if !reflect.DeepEqual(whole, streamed) {
			t.Errorf("%s:\n%v\nstreamed:\n%v", got.Model, whole, streamed)
		}
	}
}

// said is a value without what the SDK adds to one of the two: members that are null,
// and the name of the type.
func said(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if member == nil || name == "object" || name == "parsed" || name == "parsed_arguments" {
				delete(value, name)
			} else {
				value[name] = said(member)
			}
		}
	case []any:
		for i := range value {
			value[i] = said(value[i])
		}
	}
	return value
}

// sampleServer is an upstream that gives the samples, each under the name of a model.
func sampleServer(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a, ok := FromJSON(samples[gjson.GetBytes(body, "model").Str])
		if !ok {
			http.NotFound(w, r)
			return
		}
		if gjson.GetBytes(body, "stream").Bool() {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Write(a.Stream(gjson.GetBytes(body, "stream_options.include_usage").Bool()))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(a.JSON())
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return server.URL
}

// javascriptSDK is a folder with the official SDK, and the script of testdata.
func javascriptSDK(t *testing.T) (dir string) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	dir = t.TempDir()
	for _, path := range []string{"../../examples/javascript/package.json", "../../examples/javascript/package-lock.json", "testdata/accumulate.mjs"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("npm ci: %s", out)
		}
		t.Skipf("npm ci, which needs the registry: %s", out)
	}
	return dir
}
