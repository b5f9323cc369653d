package tokens

import "strings"

// longestName bounds what is looked at of a model's name, in bytes.
const longestName = 256

var (
	o200k  = &vocabulary{name: "o200k_base", size: 199_998, bits: 19, split: splitO200K}
	cl100k = &vocabulary{name: "cl100k_base", size: 100_256, bits: 18, split: splitCL100K}
)

// encodings says how families of models count. A model that is in none of them
// counts as the first.
var encodings = []struct {
	family string
	Encoding
}{
	{"gpt-4o", Encoding{o200k, imageRule{base: 85, tile: 170}}},
	{"gpt-4o-mini", Encoding{o200k, imageRule{base: 2833, tile: 5667}}},
	{"gpt-4.1-mini", Encoding{o200k, imageRule{patch: 162}}},
	{"gpt-4.1-nano", Encoding{o200k, imageRule{patch: 246}}},
	{"gpt-5", Encoding{o200k, imageRule{base: 70, tile: 140}}},
	{"gpt-5-mini", Encoding{o200k, imageRule{patch: 162}}},
	{"gpt-5-nano", Encoding{o200k, imageRule{patch: 246}}},
	{"gpt-5.4-mini", Encoding{o200k, imageRule{patch: 162}}},
	{"gpt-5.4-nano", Encoding{o200k, imageRule{patch: 246}}},
	{"o1", Encoding{o200k, imageRule{base: 75, tile: 150}}},
	{"o3", Encoding{o200k, imageRule{base: 75, tile: 150}}},
	{"o4-mini", Encoding{o200k, imageRule{patch: 172}}},
	{"gpt-4", Encoding{cl100k, imageRule{base: 85, tile: 170}}},
	{"gpt-3.5-turbo", Encoding{cl100k, imageRule{base: 85, tile: 170}}},
	{"gpt-35", Encoding{cl100k, imageRule{base: 85, tile: 170}}},
	{"text-embedding", Encoding{cl100k, imageRule{}}},
	{"babbage-002", Encoding{cl100k, imageRule{}}},
	{"davinci-002", Encoding{cl100k, imageRule{}}},
}

// For returns the encoding of a model. The name may carry the names of vendors
// ("openai/gpt-4o"), a date or another suffix, and may be that of a fine-tuned
// model. A model that is not known has o200k_base.
func For(model string) *Encoding {
	name, found, length := base(model), 0, 0
	for i := range encodings {
		if family := encodings[i].family; len(family) > length && belongs(name, family) {
			found, length = i, len(family)
		}
	}
	return &encodings[found].Encoding
}

// Window returns how many tokens a model takes as its prompt, and false if the
// model is not known. Names are read as For reads them. A host may serve an open
// model with less.
func Window(model string) (tokens int, known bool) {
	l, known := limitsOf(model)
	return l.window, known
}

// MaxOutput returns how many tokens a model answers with at most, and false if
// that is not known.
func MaxOutput(model string) (tokens int, known bool) {
	l, _ := limitsOf(model)
	return l.output, l.output > 0
}

// Private

func limitsOf(model string) (best limits, known bool) {
	name := base(model)
	for _, l := range windows {
		if len(l.family) > len(best.family) && belongs(name, l.family) {
			best = l
		}
	}
	return best, best.family != ""
}

// belongs reports whether name is the family's or adds a suffix to it. A digit,
// letter or full stop after it makes another family: gpt-4.1 is no gpt-4.
func belongs(name, family string) bool {
	rest, ok := strings.CutPrefix(name, family)
	return ok && (rest == "" || strings.IndexByte("-_:@", rest[0]) >= 0)
}

// base returns the name of a model in lower case and without vendors before it:
// gpt-4o for openai/gpt-4o, for ft:gpt-4o:acme::id, and claude-3-haiku for
// us.anthropic.claude-3-haiku and anthropic/claude-3.haiku.
func base(model string) string {
	name := strings.ToLower(model[:min(len(model), longestName)])
	name = name[strings.LastIndexByte(name, '/')+1:]
	if tuned, ok := strings.CutPrefix(name, "ft:"); ok {
		name, _, _ = strings.Cut(tuned, ":")
	}
	for {
		vendor, rest, ok := strings.Cut(name, ".")
		if !ok || strings.Trim(vendor, "abcdefghijklmnopqrstuvwxyz") != "" {
			break
		}
		name = rest
	}
	if strings.HasPrefix(name, "claude-") {
		name = strings.ReplaceAll(name, ".", "-")
	}
	return name
}
