package pricing

import (
	"strings"
	"testing"
	"time"
)

func TestPrice_goes_by_the_name(t *testing.T) {
	for asked, want := range map[string]string{
		"gpt-4o":                                 "gpt-4o",
		"openai/gpt-4o":                          "gpt-4o",
		"azure/gpt-4o":                           "gpt-4o",
		"gpt-4o-2024-11-20":                      "gpt-4o",
		"openai/gpt-4o-2024-11-20":               "gpt-4o",
		"gpt-4o-2024-05-13":                      "gpt-4o-2024-05-13",
		"claude-sonnet-4-5-20250929":             "claude-sonnet-4-5",
		"vertex_ai/claude-sonnet-4-5":            "",
		"vertex_ai/gemini-2.5-pro":               "gemini-2.5-pro",
		"claude-opus-4-5@20251101":               "claude-opus-4-5",
		"models/gemini-2.5-pro":                  "gemini-2.5-pro",
		"ft:gpt-4o-mini-2024-07-18:org::id":      "ft:gpt-4o-mini-2024-07-18",
		"openai/ft:gpt-4o-2024-08-06:org:x:id":   "ft:gpt-4o-2024-08-06",
		"ft:gpt-3.5-turbo:org::id":               "ft:gpt-3.5-turbo",
		"groq/llama-3.3-70b-versatile":           "groq/llama-3.3-70b-versatile",
		"groq/openai/gpt-oss-120b":               "groq/openai/gpt-oss-120b",
		"together/openai/gpt-oss-120b":           "together_ai/openai/gpt-oss-120b",
		"openrouter/anthropic/claude-sonnet-4.5": "openrouter/anthropic/claude-sonnet-4.5",
		"openrouter/openai/gpt-4o-mini":          "gpt-4o-mini",
		"deepseek/deepseek-chat":                 "deepseek-chat",
		"x-ai/grok-4":                            "grok-4",
		"qwen-plus":                              "qwen-plus",
	} {
		p, ok := Default().Price(asked)
		if ok != (want != "") || p.Model != want {
			t.Errorf("%s: got %q, want %q", asked, p.Model, want)
		}
	}
}

func TestPrice_of_a_model_that_is_not_known_is_not_known(t *testing.T) {
	for _, model := range []string{
		"", "/", "gpt-4o-my-thing", "my-gpt-4o", "GPT-4o", " gpt-4o", "gpt-4o ", "gpt-4o/", "acme/gpt-4o", "openai/", "/gpt-4o",
		"gpt-4o-2024-13-01", "gpt-4o-2024-1-01", "gpt-4o-1024-11-20", "gpt-4o-20241", "-2024-11-20", "openai/openai/gpt-4o",
		"ft:", "ft:gpt-4o", "ft:gpt-4o-mini-2024-07-19:org::id", "ft:llama:org::id", "ft::", "azure/eu/gpt-4o",
		"gpt-oss-120b", "openai/gpt-oss-120b", "llama3.1-8b", "llama-3.3-70b", "meta-llama/Llama-4-Scout-17B-16E-Instruct", "command-r", "mistral-small",
		"qwen/qwen3-next-80b-a3b-instruct", "mistralai/devstral-small-2507", "glm-4.5-air", "deepseek-r1", "llama3:latest",
		strings.Repeat("openrouter/", 100_000) + "gpt-4o",
	} {
		if p, ok := Default().Price(model); ok || p.Input != 0 {
			t.Errorf("%.40q is taken for %s", model, p.Model)
		}
	}
}

func TestPriceAt_asks_the_upstream_s_provider_first(t *testing.T) {
	for _, c := range []struct{ upstream, model, want string }{
		{"groq", "llama-3.1-8b-instant", "groq/llama-3.1-8b-instant"},
		{"groq", "openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"},
		{"together", "openai/gpt-oss-20b", "together_ai/openai/gpt-oss-20b"},
		{"openrouter", "openai/gpt-3.5-turbo", "openrouter/openai/gpt-3.5-turbo"},
		{"openrouter", "openai/gpt-4o-mini", "gpt-4o-mini"},
		{"azure", "gpt-4o", "gpt-4o"},
		{"lab", "gpt-4o", "gpt-4o"},
		{"lab", "openai/gpt-oss-20b", ""},
		{"groq", "nothing", ""},
	} {
		if p, ok := Default().PriceAt(c.upstream, c.model); p.Model != c.want || ok != (c.want != "") {
			t.Errorf("%s at %s: got %q, want %q", c.model, c.upstream, p.Model, c.want)
		}
	}
}

func TestPrice_allocates_nothing(t *testing.T) {
	table := Default()
	for _, model := range []string{"gpt-4o", "openai/gpt-4o-2024-11-20", "ft:gpt-4o-mini-2024-07-18:org::id", "openrouter/openai/gpt-4o-mini", "no-such-model-2024-11-20"} {
		if n := testing.AllocsPerRun(100, func() { table.Price(model); table.PriceAt("azure", model) }); n != 0 {
			t.Errorf("%s: %v allocations", model, n)
		}
	}
}

func TestDefault_says_whose_figures_it_has_and_of_when(t *testing.T) {
	all := Default().All()
	providers := map[string]int{}
	for i, p := range all {
		providers[p.Provider]++
		if p.Source != "embedded" || p.AsOf.Before(time.Date(2026, 7, 24, 0, 0, 0, 0, time.UTC)) || p.Input+p.Output == 0 {
			t.Errorf("%+v", p)
		}
		if i > 0 && all[i-1].Provider == p.Provider && all[i-1].Model >= p.Model {
			t.Errorf("%s after %s", p.Model, all[i-1].Model)
		}
		above, rates := 0, p.Rates
		for _, tier := range p.Tiers {
			if tier.Above <= above || tier.Input < rates.Input || tier.CachedInput < rates.CachedInput || tier.Output < rates.Output {
				t.Errorf("%s: tier above %d is cheaper or out of order", p.Model, tier.Above)
			}
			above, rates = tier.Above, tier.Rates
		}
		if got, ok := Default().Price(p.Model); !ok || got.Model != p.Model {
			t.Errorf("%s is not found by its name", p.Model)
		}
	}
	for _, name := range []string{"openai", "anthropic", "google", "mistral", "xai", "cohere", "deepseek", "moonshot", "dashscope", "zai", "groq", "cerebras", "together", "deepinfra", "openrouter"} {
		if providers[name] < 4 {
			t.Errorf("%s has %d models", name, providers[name])
		}
	}
}

func FuzzPrice_never_fails(f *testing.F) {
	for _, model := range []string{"gpt-4o-2024-11-20", "ft:gpt-4o:x", "openrouter/openai/gpt-4o", "a@20250101", "/"} {
		f.Add(model)
	}
	f.Fuzz(func(t *testing.T, model string) {
		p, ok := Default().Price(model)
		if ok && !strings.Contains(model, strings.TrimPrefix(p.Model[strings.LastIndexByte(p.Model, '/')+1:], "ft:")) {
			t.Errorf("%q is taken for %s", model, p.Model)
		}
	})
}
