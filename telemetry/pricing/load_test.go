package pricing

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLoad_lays_a_CSV_file_over_the_default(t *testing.T) {
	table := load(t, `# our contract
model,          input, output, cached_input, above,  as_of
gpt-4o,         2,     8,      ,             ,       2026-09-01
gpt-4o,         3,     ,       1,            100000,
house/llama,    0,     0,      ,             ,
"odd, name",    1,     2,      0.5,          ,
`)
	p, ok := table.Price("openai/gpt-4o-2024-11-20")
	if !ok || p.Source != "our.csv:3" || p.Provider != "openai" || p.AsOf.Format("2006-01-02") != "2026-09-01" {
		t.Errorf("got %+v", p)
	}
	for _, c := range []struct {
		model string
		usage Usage
		nano  int64
	}{
		{"gpt-4o", Usage{Input: 10, CachedInput: 5, Output: 1}, 20_000 + 8000},
		{"azure/gpt-4o", Usage{Input: 100_001, CachedInput: 1, Output: 1}, 300_000_000 + 1000 + 8000},
		{"house/llama", Usage{Input: 10, Output: 10}, 0},
		{"odd, name", Usage{Input: 10, CachedInput: 10}, 5000},
		{"gpt-4o-mini", Usage{Input: 1}, 150},
	} {
		p, ok := table.Price(c.model)
		if got := p.Cost(c.usage); !ok || got != c.nano {
			t.Errorf("%s: got %d (%v), want %d", c.model, got, ok, c.nano)
		}
	}
	if p, _ := Default().Price("gpt-4o"); p.Source != "embedded" {
		t.Error("the default has changed")
	}
	if len(table.All()) != len(Default().All())+2 {
		t.Errorf("%d prices, the default has %d", len(table.All()), len(Default().All()))
	}
}

func TestLoad_of_a_provider_s_name_changes_the_bare_name_that_is_its_own(t *testing.T) {
	table := load(t, "model,input,output\nopenai/gpt-4o,1,1\nopenai/gpt-9,2,2\nmistral/mistral-large-latest,3,3\nmistral/mistral-small,4,4\ngroq/gpt-4o-mini,5,5\nazure/gpt-5,6,6\nopenai/gpt-5-mini,8,8\ngpt-5-mini,7,7\n")
	for model, dollars := range map[string]int{
		"gpt-4o": 1, "gpt-9": 2, "mistral-large-latest": 3, "mistral/mistral-small": 4, "mistral-small": 0,
		"groq/gpt-4o-mini": 5, "azure/gpt-5": 6, "gpt-5-mini": 7, "openai/gpt-5-mini": 8,
	} {
		p, ok := table.Price(model)
		if ok != (dollars > 0) || p.Input != Rate(dollars)*dollar {
			t.Errorf("%s: got %v, want %d", model, p.Input, dollars)
		}
	}
	if p, _ := table.Price("gpt-5"); p.Source != "embedded" {
		t.Errorf("what Azure asks is taken for what OpenAI asks: %+v", p)
	}
}

func TestLoad_reads_LiteLLM_s_format(t *testing.T) {
	table := load(t, `{
  "sample_spec": {"input_cost_per_token": 0.1, "output_cost_per_token": 0.1},
  "new-model": {"input_cost_per_token": 7.5e-08, "output_cost_per_token": 3e-07, "max_input_tokens": 2000000.0, "max_output_tokens": "some",
    "cache_read_input_token_cost": 0, "cache_creation_input_token_cost": 0.0, "litellm_provider": "openai",
    "input_cost_per_token_above_128k_tokens": 1.5e-07, "input_cost_per_token_above_128k_tokens_priority": 9e-07},
  "gemini/gemini-9": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "input_cost_per_token_cache_hit": 1e-07},
  "dashscope/ladder": {"tiered_pricing": [
    {"range": [32000.0, 64000.0], "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06},
    {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 3e-06}]},
  "by-request": {"input_cost_per_token": 0, "output_cost_per_token": 1e-06, "input_cost_per_request": 0.005},
  "one-figure": {"input_cost_per_token": 1e-06},
  "mistaken": {"input_cost_per_token": 0.055, "output_cost_per_token": 0.2},
  "negative": {"input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
  "text": {"input_cost_per_token": "1e-06", "output_cost_per_token": 1e-06},
  "no-object": 7
}`)
	for _, c := range []struct {
		model string
		usage Usage
		nano  int64
	}{
		{"new-model", Usage{Input: 4, CachedInput: 1, CacheWrite: 1, Output: 1}, 4*75 + 300},
		{"openai/new-model", Usage{Input: 128_001}, 128_001 * 150},
		{"gemini-9", Usage{Input: 2, CachedInput: 1}, 1100},
		{"dashscope/ladder", Usage{Input: 32_000, Output: 1}, 32_000*1000 + 3000},
		{"dashscope/ladder", Usage{Input: 32_001, Output: 1}, 32_001*2000 + 4000},
	} {
		p, ok := table.Price(c.model)
		if got := p.Cost(c.usage); !ok || got != c.nano {
			t.Errorf("%s %+v: got %d (%v), want %d", c.model, c.usage, got, ok, c.nano)
		}
	}
	for _, model := range []string{"sample_spec", "by-request", "one-figure", "mistaken", "negative", "text", "no-object", "ladder"} {
		if p, ok := table.Price(model); ok {
			t.Errorf("%s has a price: %+v", model, p)
		}
	}
	p, _ := table.Price("new-model")
	if p.Source != "our.csv:3" || p.Window != 2_000_000 || p.MaxOutput != 0 {
		t.Errorf("got %+v", p)
	}
	if p, _ := table.Price("gemini-9"); p.Source != "our.csv:6" || p.Provider != "google" {
		t.Errorf("got %+v", p)
	}
}

func TestLoad_reads_LiteLLM_s_whole_list(t *testing.T) {
	table, err := Load(bytes.NewReader(list(t)), "list.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range Default().All() {
		after, ok := table.Price(before.Model)
		if !ok || after.Input == 0 && after.Output == 0 && before.Input > 0 {
			t.Errorf("%s has lost its price", before.Model)
		}
		if before.Provider == "openai" && (after.Source == "embedded" || after.Input != before.Input || after.Output != before.Output) {
			t.Errorf("%s: %v, before %v", before.Model, after, before)
		}
	}
	if p, ok := table.Price("wandb/zai-org/GLM-4.5"); ok {
		t.Errorf("a mistake of the list is believed: %v", p)
	}
}

func TestLoad_says_what_is_wrong_and_where(t *testing.T) {
	for content, want := range map[string]string{
		"":                               "column model",
		"# nothing\n":                    "column model",
		"model,input,output\n":           "holds no price",
		"model,input\nx,1\n":             "column output",
		"model,input,output,colour\n":    `column "colour"`,
		"model,input,output\nx,1\n":      "our.csv: not a file of prices: record on line 2",
		"model,input,output\nx,one,1\n":  `our.csv:2: input: "one" is no price`,
		"model,input,output\nx,1,-1\n":   `our.csv:2: output: "-1" is no price`,
		"model,input,output\nx,NaN,1\n":  "is no price",
		"model,input,output\nx,2001,1\n": "at most 2000.00",
		"model,input,output\nx,,1\n":     "our.csv:2: input and output are needed",
		"model,input,output\n,1,1\n":     "name",
		"model,input,output\n" + strings.Repeat("x", 257) + ",1,1\n": "name",
		"model,input,output\nx,1,1\nx,2,2\n":                         "our.csv:3: x: the lines of a model must ascend",
		"model,input,output,above\nx,1,1,5\n":                        "our.csv:2: x needs a line before",
		"model,input,output,above\nx,1,1,five\n":                     `above: "five"`,
		"model,input,output,window\nx,1,1,-5\n":                      `window: "-5"`,
		"model,input,output,max_output\nx,1,1,1.5\n":                 `max_output: "1.5"`,
		"model,input,output,as_of\nx,1,1,yesterday\n":                `as_of: "yesterday"`,
		"model,input,output,cached_input\nx,1,1,y\n":                 `cached_input: "y"`,
		"model,input,output,cache_write\nx,1,1,y\n":                  `cache_write: "y"`,
		"{\n\"x\": {},\n}":                                           "our.csv:3: not a file of prices",
		"{}":                                                         "holds no price",
		"{\"x\": {}}":                                                "holds no price",
	} {
		table, err := Load(strings.NewReader(content), "our.csv")
		if err == nil || table != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", content, err, want)
		}
	}
}

func TestLoad_is_bounded_and_tells_what_the_reader_says(t *testing.T) {
	_, err := Load(io.MultiReader(strings.NewReader("model,input,output\n"), io.LimitReader(ones{}, maxFile)), "our.csv")
	if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "longer") {
		t.Errorf("got %v", err)
	}
	broken := errors.New("disk on fire")
	if _, err := Load(iotest.ErrReader(broken), "our.csv"); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestRateOf_rejects_what_is_no_price(t *testing.T) {
	for _, dollars := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.01, 2000.01} {
		if rate, ok := rateOf(dollars); ok {
			t.Errorf("%v makes %v", dollars, rate)
		}
	}
}

func FuzzLoad_never_fails(f *testing.F) {
	f.Add("model,input,output,above\nx,1,1,\nx,2,2,9\n")
	f.Add(`{"x": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_token_above_9k_tokens": 1}}`)
	f.Fuzz(func(t *testing.T, content string) {
		table, err := Load(strings.NewReader(content), "f")
		if (err == nil) != (table != nil) {
			t.Fatalf("%v with %v", table, err)
		}
		if err != nil {
			return
		}
		for _, p := range table.All() {
			if cost := p.Cost(Usage{MaxTokens, 1, 1, MaxTokens}); cost < 0 {
				t.Errorf("%s costs %d", p.Model, cost)
			}
		}
	})
}

func load(t *testing.T, content string) *Table {
	t.Helper()
	table, err := Load(strings.NewReader(content), "our.csv")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}
