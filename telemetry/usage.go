package telemetry

import "github.com/tidwall/gjson"

// Sources of a Usage.
const (
	Measured  UsageSource = "measured"  // the upstream said so
	Estimated UsageSource = "estimated" // counted here
)

// maxTokens bounds each reported figure; what is above counts as this much.
const maxTokens = 1_000_000_000

// UsageSource says where token counts come from; "" means that there are none.
type UsageSource string

// Usage is the tokens of one call. Parts never add up to more than the whole.
type Usage struct {
	Input       int // all of the prompt, CachedInput and CacheWrite included
	Output      int // all of the answer, Reasoning included
	CachedInput int // read from the provider's cache
	CacheWrite  int // written to it
	Reasoning   int
	AudioInput  int
	AudioOutput int
	Source      UsageSource
}

// Measure takes over what the usage member of an answer reports, and returns whether
// that is a report at all. What it leaves out stays as it is; figures that cannot be
// are brought within bounds.
//
// The names are OpenAI's. Beside them, providers say what was read from a cache as
// prompt_cache_hit_tokens (DeepSeek), cached_tokens outside of the details (Moonshot)
// and cache_read_input_tokens (Anthropic's name, as gateways pass it on), and what was
// written to it as cache_write_tokens (OpenAI, OpenRouter) or cache_creation_….
func (u *Usage) Measure(reported gjson.Result) bool {
	if !reported.IsObject() {
		return false
	}
	const unsaid = -1
	said, total := Usage{unsaid, unsaid, unsaid, unsaid, unsaid, unsaid, unsaid, Measured}, unsaid
	reported.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			said.Input = figure(value)
		case "completion_tokens":
			said.Output = figure(value)
		case "total_tokens":
			total = figure(value)
		case "prompt_tokens_details":
			said.detailInput(value)
		case "completion_tokens_details":
			said.detailOutput(value)
		default:
			said.readCache(key.Str, value)
		}
		return true
	})
	// xAI counts the thoughts beside the answer; only the total tells.
	if said.Reasoning > 0 && said.Input >= 0 && said.Output >= 0 && total == said.Input+said.Output+said.Reasoning {
		said.Output += said.Reasoning
	}
	for _, part := range [...]struct{ to, from *int }{
		{&u.Input, &said.Input}, {&u.Output, &said.Output},
		{&u.CachedInput, &said.CachedInput}, {&u.CacheWrite, &said.CacheWrite}, {&u.Reasoning, &said.Reasoning},
		{&u.AudioInput, &said.AudioInput}, {&u.AudioOutput, &said.AudioOutput},
	} {
		if *part.from != unsaid {
			*part.to = *part.from
		}
	}
	u.Source = Measured
	u.bound()
	return true
}

// Private

func (u *Usage) detailInput(details gjson.Result) {
	details.ForEach(func(key, value gjson.Result) bool {
		if key.Str == "audio_tokens" {
			u.AudioInput = figure(value)
		}
		u.readCache(key.Str, value)
		return true
	})
}

func (u *Usage) detailOutput(details gjson.Result) {
	details.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "reasoning_tokens":
			u.Reasoning = figure(value)
		case "audio_tokens":
			u.AudioOutput = figure(value)
		}
		return true
	})
}

// readCache takes what is said of a cache. Whoever says it twice says the same, or 0
// where the other name has it.
func (u *Usage) readCache(name string, value gjson.Result) {
	switch name {
	case "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens":
		u.CachedInput = max(u.CachedInput, figure(value))
	case "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens":
		u.CacheWrite = max(u.CacheWrite, figure(value))
	}
}

func (u *Usage) bound() {
	u.CachedInput = min(u.CachedInput, u.Input)
	u.CacheWrite = min(u.CacheWrite, u.Input-u.CachedInput)
	u.AudioInput = min(u.AudioInput, u.Input)
	u.Reasoning = min(u.Reasoning, u.Output)
	u.AudioOutput = min(u.AudioOutput, u.Output)
}

func figure(value gjson.Result) int {
	if value.Type != gjson.Number || !(value.Num > 0) { // NaN is not
		return 0
	}
	return int(min(value.Num, maxTokens))
}
