package pricing

import (
	"bytes"
	_ "embed" // the figures
	"maps"
	"slices"
	"strings"
	"sync"
)

// maxName bounds the name of a model, in bytes.
const maxName = 256

//go:embed prices.csv
var embedded []byte

// A provider is who asks a price.
type provider struct {
	name string
	// sole: a model of this name is nobody else's. Others who serve the same open
	// weights ask other prices, and one's own machine asks none.
	sole bool
	// like is the provider whose figures hold where it has none of its own.
	like string
}

// providers are the spellings of providers before the names of models.
var providers = map[string]provider{
	"openai":     {name: "openai", sole: true},
	"azure":      {name: "azure", like: "openai"},
	"anthropic":  {name: "anthropic", sole: true},
	"google":     {name: "google", sole: true},
	"gemini":     {name: "google", sole: true},
	"models":     {name: "google", sole: true}, // as Google's own API writes it
	"vertex_ai":  {name: "vertex_ai", like: "google"},
	"xai":        {name: "xai", sole: true},
	"x-ai":       {name: "xai", sole: true},
	"mistral":    {name: "mistral"},
	"cohere":     {name: "cohere"},
	"deepseek":   {name: "deepseek"},
	"moonshot":   {name: "moonshot"},
	"dashscope":  {name: "dashscope"},
	"zai":        {name: "zai"},
	"groq":       {name: "groq"},
	"cerebras":   {name: "cerebras"},
	"deepinfra":  {name: "deepinfra"},
	"together":   {name: "together"},
	"openrouter": {name: "openrouter"},

	// as LiteLLM's list calls them
	"cohere_chat": {name: "cohere"},
	"together_ai": {name: "together"},
}

// A Table holds prices by the names of models. It is not changed once it is made,
// and safe for concurrent use.
type Table struct {
	entries map[entry]*Price
}

// An entry is the name of a model at a provider; at "", the name alone.
type entry struct{ provider, model string }

// Default is the embedded table.
func Default() *Table { return loadEmbedded() }

// Price finds what a model costs. The name may stand alone, as in gpt-4o, or
// behind its provider, as in openai/gpt-4o; the figures of a model with a date, as
// in gpt-4o-2024-11-20, are its own or else those of the model without; those of a
// fine-tuned model, ft:MODEL:…, are those of ft:MODEL. Names are compared exactly
// otherwise. It returns false if the price is not known.
func (t *Table) Price(model string) (Price, bool) {
	p := t.find(model)
	if p == nil {
		return Price{}, false
	}
	return *p, true
}

// PriceAt is Price for a call to an upstream of that name: if the upstream is
// called like a provider, that provider's figures come first.
func (t *Table) PriceAt(upstream, model string) (Price, bool) {
	if at, ok := providers[upstream]; ok && len(model) <= maxName {
		if p := t.of(at, model); p != nil {
			return *p, true
		}
	}
	return t.Price(model)
}

// All returns every price once, ordered by provider and model.
func (t *Table) All() []Price {
	seen := map[*Price]bool{}
	for _, p := range t.entries {
		seen[p] = true
	}
	all := make([]Price, 0, len(seen))
	for p := range seen {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Price) int {
		if c := strings.Compare(a.Provider, b.Provider); c != 0 {
			return c
		}
		return strings.Compare(a.Model, b.Model)
	})
	return all
}

// Over is the table with other prices laid over it, as those of a file are. They say
// where they come from in Source.
func (t *Table) Over(prices []Price) *Table {
	list := make([]*Price, len(prices))
	for i := range prices {
		p := prices[i]
		list[i] = &p
	}
	return t.over(list)
}

// Private

var loadEmbedded = sync.OnceValue(func() *Table {
	t, err := (&Table{}).with(bytes.NewReader(embedded), "embedded")
	if err != nil {
		panic(err) // the build is broken
	}
	for _, p := range t.entries {
		p.Source = "embedded"
	}
	return t
})

func (t *Table) find(model string) *Price {
	if len(model) > maxName {
		return nil
	}
	if p := t.entries[entry{"", model}]; p != nil {
		return p
	}
	at, rest, ok := cutProvider(model)
	if !ok {
		return t.dated("", tuned(model))
	}
	if p := t.of(at, rest); p != nil {
		return p
	}
	if at.name == "openrouter" {
		return t.find(rest) // it hands on what the provider asks
	}
	return nil
}

// of finds a model of a provider.
func (t *Table) of(at provider, model string) *Price {
	model = tuned(model)
	if p := t.dated(at.name, model); p != nil || at.like == "" {
		return p
	}
	return t.dated(at.like, model)
}

// dated finds a model by its name or, failing that, by its name without its date.
func (t *Table) dated(provider, model string) *Price {
	if p := t.entries[entry{provider, model}]; p != nil {
		return p
	}
	if base := undated(model); base != model {
		return t.entries[entry{provider, base}]
	}
	return nil
}

// cutProvider splits the name of a known provider off.
func cutProvider(model string) (at provider, rest string, ok bool) {
	prefix, rest, _ := strings.Cut(model, "/")
	at, ok = providers[prefix]
	return at, rest, ok && rest != ""
}

// tuned cuts what is particular to one fine-tuned model.
func tuned(model string) string {
	const mark = "ft:"
	if rest, ok := strings.CutPrefix(model, mark); ok {
		if i := strings.IndexByte(rest, ':'); i >= 0 {
			return model[:len(mark)+i]
		}
	}
	return model
}

// undated cuts a date: -2006-01-02, -20060102 or @20060102.
func undated(model string) string {
	for _, form := range [...]string{"-2006-01-02", "-20060102", "@20060102"} {
		if n := len(model) - len(form); n > 0 && isDate(model[n:], form) {
			return model[:n]
		}
	}
	return model
}

// isDate reports whether s has the form of a date of this century.
func isDate(s, form string) bool {
	var digits [8]int
	n := 0
	for i := range len(form) {
		if form[i] < '0' || form[i] > '9' {
			if s[i] != form[i] {
				return false
			}
			continue
		}
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		digits[n] = int(s[i] - '0')
		n++
	}
	month, day := digits[4]*10+digits[5], digits[6]*10+digits[7]
	return digits[0] == 2 && digits[1] == 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31
}

// over lays prices over the table's. What a file says of a name outweighs what it
// says of the same name behind its provider.
func (t *Table) over(prices []*Price) *Table {
	entries := maps.Clone(t.entries)
	if entries == nil {
		entries = map[entry]*Price{}
	}
	alone := map[string]bool{}
	for _, p := range prices {
		if _, _, ok := cutProvider(p.Model); ok {
			continue
		}
		alone[p.Model] = true
		if before := entries[entry{"", p.Model}]; before != nil && p.Provider == "" {
			p.Provider = before.Provider
		}
		entries[entry{"", p.Model}] = p
		if p.Provider != "" {
			entries[entry{p.Provider, p.Model}] = p
		}
	}
	for _, p := range prices {
		at, rest, ok := cutProvider(p.Model)
		if !ok {
			continue
		}
		p.Provider = at.name
		before := entries[entry{"", rest}]
		owned := at.sole || before != nil && before.Provider == at.name
		if owned && !alone[rest] && !strings.Contains(rest, "/") {
			entries[entry{"", rest}] = p
		}
		entries[entry{at.name, rest}] = p
	}
	return &Table{entries: entries}
}
