package tokens

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestFor_knows_the_encoding_of_a_model(t *testing.T) {
	for _, tt := range []struct{ model, encoding string }{
		{"gpt-5", "o200k_base"},
		{"gpt-5.6-sol", "o200k_base"},
		{"gpt-4.1", "o200k_base"},
		{"gpt-4.1-nano-2025-04-14", "o200k_base"},
		{"gpt-4.5-preview", "o200k_base"},
		{"gpt-4o", "o200k_base"},
		{"gpt-4o-2024-08-06", "o200k_base"},
		{"GPT-4o", "o200k_base"},
		{"chatgpt-4o-latest", "o200k_base"},
		{"o1", "o200k_base"},
		{"o3-mini-2025-01-31", "o200k_base"},
		{"o4-mini", "o200k_base"},
		{"gpt-oss-120b", "o200k_base"},
		{"ft:gpt-4o-mini-2024-07-18:acme::9abc", "o200k_base"},
		{"openai/gpt-4o", "o200k_base"},
		{"azure/gpt-5-mini", "o200k_base"},
		{"openrouter/openai/gpt-4.1", "o200k_base"},
		{"claude-sonnet-5", "o200k_base"},
		{"", "o200k_base"},
		{"a model of which nobody has heard", "o200k_base"},
		{strings.Repeat("gpt-4/", 100_000), "o200k_base"},
		{"gpt-4", "cl100k_base"},
		{"gpt-4-0613", "cl100k_base"},
		{"gpt-4-32k", "cl100k_base"},
		{"gpt-4-turbo-2024-04-09", "cl100k_base"},
		{"gpt-4-1106-preview", "cl100k_base"},
		{"gpt-3.5-turbo", "cl100k_base"},
		{"gpt-3.5-turbo-0125", "cl100k_base"},
		{"azure/gpt-35-turbo", "cl100k_base"},
		{"openai/gpt-4", "cl100k_base"},
		{"ft:gpt-3.5-turbo-0125:acme:name:9abc", "cl100k_base"},
		{"ft:gpt-4-0613", "cl100k_base"},
		{"text-embedding-3-small", "cl100k_base"},
		{"text-embedding-ada-002", "cl100k_base"},
	} {
		if got := For(tt.model).Name(); got != tt.encoding {
			t.Errorf("For(%.40q) is %s, not %s", tt.model, got, tt.encoding)
		}
	}
}

func TestWindow_reads_names_with_vendors_dates_and_suffixes(t *testing.T) {
	for _, tt := range []struct {
		model          string
		window, output int
	}{
		{"gpt-4", 8_192, 4_096},
		{"gpt-4-0613", 8_192, 4_096},
		{"gpt-4-turbo-2024-04-09", 128_000, 4_096},
		{"gpt-4o-2024-11-20", 128_000, 16_384},
		{"gpt-4o:extended", 128_000, 16_384},
		{"openai/gpt-4.1-mini", 1_047_576, 32_768},
		{"ft:gpt-4o-mini-2024-07-18:acme::9abc", 128_000, 16_384},
		{"azure/eu/gpt-5.1-2025-11-13", 272_000, 128_000},
		{"openrouter/anthropic/claude-sonnet-4.5", 200_000, 64_000},
		{"us.anthropic.claude-haiku-4-5-20251001-v1:0", 200_000, 64_000},
		{"claude-opus-4-1@20250805", 200_000, 32_000},
		{"meta-llama/Llama-3.3-70B-Instruct", 128_000, 4_028},
		{"text-embedding-3-large", 8_191, 0},
	} {
		window, known := Window(tt.model)
		if window != tt.window || !known {
			t.Errorf("Window(%q) = %d, %v; want %d", tt.model, window, known, tt.window)
		}
		output, known := MaxOutput(tt.model)
		if output != tt.output || known != (tt.output > 0) {
			t.Errorf("MaxOutput(%q) = %d, %v; want %d", tt.model, output, known, tt.output)
		}
	}
}

func TestWindow_does_not_guess(t *testing.T) {
	for _, model := range []string{"", "gpt", "gpt-4x", "gpt-5.99", "o100", "my-deployment", "xgpt-4o", "/", "ft:", "...", "claude-"} {
		if window, known := Window(model); window != 0 || known {
			t.Errorf("Window(%q) = %d, %v", model, window, known)
		}
		if output, known := MaxOutput(model); output != 0 || known {
			t.Errorf("MaxOutput(%q) = %d, %v", model, output, known)
		}
	}
}

func TestWindows_names_each_family_once(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range windows {
		if seen[l.family] || l.family != base(l.family) || l.window <= 0 || l.output < 0 {
			t.Errorf("bad entry %+v", l)
		}
		seen[l.family] = true
	}
}

// An entry of the published list that the table is compared with.
type listed struct {
	Vendor string  `json:"litellm_provider"`
	Mode   string  `json:"mode"`
	Window float64 `json:"max_input_tokens"`
	Output float64 `json:"max_output_tokens"`
}

func TestWindows_are_those_of_the_published_list(t *testing.T) {
	list := published(t)
	vendors := []string{"openai", "anthropic", "gemini", "mistral", "deepseek", "xai", "meta_llama", "dashscope", "cohere_chat"}
	confirmed := map[string]bool{}
	for model, entry := range list {
		l, known := limitsOf(model)
		same := known && l.window == int(entry.Window)
		if same {
			confirmed[l.family] = true
		}
		if entry.Mode != "chat" && entry.Mode != "responses" || entry.Window == 0 || !slices.Contains(vendors, entry.Vendor) {
			continue
		}
		if strings.Contains(model, "lyria") || strings.Contains(model, "gemini-exp-") {
			continue // music, and experiments that are listed twice with different figures
		}
		if !same {
			t.Errorf("%s has a window of %v, not %d (%s)", model, entry.Window, l.window, l.family)
		}
	}
	for _, l := range windows {
		if !confirmed[l.family] {
			t.Errorf("nobody lists %s with %d", l.family, l.window)
		}
	}
}

func published(t *testing.T) map[string]listed {
	t.Helper()
	raw := shared(t, "model_prices.json")
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	list := map[string]listed{}
	for model, entry := range all {
		var l listed
		if json.Unmarshal(entry, &l) == nil { // the list's own specimen is of other types
			list[model] = l
		}
	}
	return list
}
