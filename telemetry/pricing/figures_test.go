package pricing

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// The embedded table is made from LiteLLM's public list, whose figures are facts
// that somebody keeps current, and which this package must read anyway:
//
//	go test ./telemetry/pricing -run TestFigures -update -prices FILE -as-of DATE
var (
	update = flag.Bool("update", false, "write prices.csv anew")
	source = flag.String("prices", "", "LiteLLM's list; default: the one beside the repository")
	asOf   = flag.String("as-of", "2026-07-24", "date of the list")
)

// names chooses the models of a provider and says how they are called here. A name
// that others give to the same open weights stands behind its provider.
var names = map[string]func(key string) (name string, ok bool){
	"openai":      vendor(""),
	"anthropic":   vendor(""),
	"gemini":      vendor("gemini/"),
	"xai":         vendor("xai/"),
	"mistral":     vendor("mistral/"),
	"cohere_chat": vendor(""),
	"deepseek":    vendor(""),
	"moonshot":    vendor("moonshot/"),
	"dashscope": func(key string) (string, bool) {
		name, ok := strings.CutPrefix(key, "dashscope/")
		if closed.MatchString(name) {
			return name, ok
		}
		return key, ok
	},
	"zai": host, "groq": host, "cerebras": host, "deepinfra": host, "openrouter": host, "together_ai": host,
}

var (
	// special are models that charge for more than text.
	special = regexp.MustCompile(`audio|tts|live|image|realtime|search|container|robotics|lyria|omni|computer-use`)
	// closed are the models of Alibaba that only Alibaba serves.
	closed = regexp.MustCompile(`-(max|plus|flash|turbo|latest|preview|coder)\b`)
	// local are names by which Ollama serves weights of the same vendors.
	local = map[string]string{"command-r": "cohere/", "command-r-plus": "cohere/", "mistral-small": "mistral/"}
	// hosted are those whose models are taken from the lists of hosts.
	hosted = regexp.MustCompile(`(?i)^[a-z_]+/((openai|anthropic|google|x-ai|meta-llama|mistralai|qwen|deepseek(-ai)?|moonshotai|z-?ai(-org)?|minimax)/|[^/]+$)`)
)

func TestFigures_are_those_of_the_list(t *testing.T) {
	got := rows(t)
	if *update {
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		if err := w.WriteAll(got); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("prices.csv", out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := csv.NewReader(bytes.NewReader(embedded)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(have, got, slices.Equal) {
		t.Error("prices.csv differs from the list; -update writes it anew")
	}
}

func vendor(prefix string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		name, ok := strings.CutPrefix(key, prefix)
		return local[name] + name, ok && !strings.Contains(name, "/")
	}
}

func host(key string) (string, bool) { return key, hosted.MatchString(key) }

// list is the file of the list, or the test is skipped.
func list(t *testing.T) []byte {
	t.Helper()
	name := *source
	if name == "" {
		root, err := filepath.Abs("../..") // of the repository
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(root, "../shared/data/model_prices.json")
	}
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		t.Skip("the list is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rows is what prices.csv must hold.
func rows(t *testing.T) [][]string {
	data := list(t)
	prices, err := readLiteLLM(data, "list")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]gjson.Result{}
	gjson.ParseBytes(data).ForEach(func(key, value gjson.Result) bool {
		entries[key.Str] = value
		return true
	})
	chosen := map[string]*Price{}
	for _, p := range prices {
		if name, ok := choose(p, entries[p.Model]); ok {
			p.Model = name
			chosen[name] = p
		}
	}
	var all [][]string
	for name, p := range chosen {
		base := chosen[undated(name)]
		if base != p && base != nil && lines(base)[0][3] == lines(p)[0][3] && slices.EqualFunc(lines(base), lines(p), sameFigures) {
			continue // the date says nothing new
		}
		all = append(all, lines(p)...)
	}
	slices.SortStableFunc(all, func(a, b []string) int {
		return slices.Compare([]string{a[1], a[0]}, []string{b[1], b[0]})
	})
	return append([][]string{{"model", "provider", "above", "input", "cached_input", "cache_write", "output", "window", "max_output", "as_of"}}, all...)
}

// choose says whether an entry belongs into the table, and under what name.
func choose(p *Price, value gjson.Result) (string, bool) {
	rule := names[value.Get("litellm_provider").Str]
	mode, end := value.Get("mode").Str, value.Get("deprecation_date").Str
	if rule == nil || mode != "chat" && mode != "responses" || end != "" && end <= *asOf || special.MatchString(p.Model) {
		return "", false
	}
	if p.Input == 0 && p.Output == 0 { // it may be free, or nobody knew
		return "", false
	}
	if p.Model == "ft:gpt-4o-2024-11-20" { // the list has this figure in the wrong column
		p.CachedInput, _ = rateOf(value.Get("cache_creation_input_token_cost").Num * 1e6)
	}
	return rule(p.Model)
}

func sameFigures(a, b []string) bool { return slices.Equal(a[1:], b[1:]) }

// lines are the rows of a price.
func lines(p *Price) [][]string {
	figure := func(r, unless Rate) string {
		if r == unless {
			return ""
		}
		return strconv.FormatFloat(float64(r)/float64(dollar), 'f', -1, 64)
	}
	size := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	line := func(above int, r Rates) []string {
		return []string{p.Model, p.Provider, size(above), figure(r.Input, -1), figure(r.CachedInput, r.Input),
			figure(r.CacheWrite, r.Input), figure(r.Output, -1), size(p.Window), size(p.MaxOutput), *asOf}
	}
	all := [][]string{line(0, p.Rates)}
	for _, tier := range p.Tiers {
		next := line(tier.Above, tier.Rates)
		next[7], next[8], next[9] = "", "", ""
		all = append(all, next)
	}
	return all
}
