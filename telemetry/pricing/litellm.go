package pricing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// litellmSpec is the key of the entry that explains the format.
const litellmSpec = "sample_spec"

func readLiteLLM(data []byte, file string) ([]*Price, error) {
	if err := validJSON(data, file); err != nil {
		return nil, err
	}
	var prices []*Price
	line, counted := 1, 0
	gjson.ParseBytes(data).ForEach(func(key, value gjson.Result) bool {
		line += bytes.Count(data[counted:key.Index], []byte{'\n'})
		counted = key.Index
		steps, ok := litellmSteps(value)
		if !ok || key.Str == litellmSpec || key.Str == "" || len(key.Str) > maxName {
			return true
		}
		p := &Price{
			Model:     key.Str,
			Window:    litellmTokens(value, "max_input_tokens"),
			MaxOutput: litellmTokens(value, "max_output_tokens"),
			Source:    fmt.Sprintf("%s:%d", file, line),
		}
		if known, ok := providers[value.Get("litellm_provider").Str]; ok {
			p.Provider = known.name
		}
		p.set(steps)
		prices = append(prices, p)
		return true
	})
	return prices, nil
}

// validJSON says where JSON is wrong.
func validJSON(data []byte, file string) error {
	if gjson.ValidBytes(data) {
		return nil
	}
	line := 1
	var wrong *json.SyntaxError
	err := json.Unmarshal(data, new(json.RawMessage))
	if errors.As(err, &wrong) {
		line += bytes.Count(data[:min(int(wrong.Offset), len(data))], []byte{'\n'})
	}
	return fmt.Errorf("%s:%d: %w: %w", file, line, ErrFile, err)
}

// litellmSteps reads an entry's figures; false if it does not charge by token.
func litellmSteps(value gjson.Result) ([]step, bool) {
	if value.Get("input_cost_per_request").Num > 0 {
		return nil, false
	}
	if tiers := value.Get("tiered_pricing"); tiers.IsArray() {
		return litellmRanges(tiers)
	}
	base, plausible := litellmFigures(value, "")
	if !plausible || base.input == unsaid || base.output == unsaid {
		return nil, false
	}
	if cached := value.Get("input_cost_per_token_cache_hit"); base.cached == unsaid && cached.Num > 0 {
		base.cached, plausible = rateOf(cached.Num * 1e6)
	}
	steps := []step{{figures: base}}
	value.ForEach(func(key, _ gjson.Result) bool {
		above, ok := litellmAbove(key.Str)
		if !ok {
			return true
		}
		f, ok := litellmFigures(value, fmt.Sprintf("_above_%dk_tokens", above/1000))
		plausible = plausible && ok
		steps = append(steps, step{above, f})
		return plausible
	})
	return steps, plausible
}

// litellmAbove reads the size in a key such as input_cost_per_token_above_200k_tokens.
func litellmAbove(key string) (tokens int, ok bool) {
	size, ok := strings.CutPrefix(key, "input_cost_per_token_above_")
	size, whole := strings.CutSuffix(size, "k_tokens")
	n, err := strconv.Atoi(size)
	return n * 1000, ok && whole && err == nil && n > 0 && n <= MaxTokens/1000
}

// litellmRanges reads steps that are given as an array with the range of each.
func litellmRanges(tiers gjson.Result) (steps []step, ok bool) {
	ok = true
	tiers.ForEach(func(_, tier gjson.Result) bool {
		f, plausible := litellmFigures(tier, "")
		above := tier.Get("range.0").Num
		ok = plausible && f.input != unsaid && f.output != unsaid && above >= 0 && above <= MaxTokens
		steps = append(steps, step{int(above), f})
		return ok
	})
	return steps, ok && len(steps) > 0
}

// litellmFigures reads dollars for a token. Zero is no price of a cached token, and
// a cache that is cheaper to write than to leave alone is a mistake: both are as
// good as unsaid.
func litellmFigures(value gjson.Result, suffix string) (f figures, plausible bool) {
	plausible = true
	read := func(key string) Rate {
		v := value.Get(key + suffix)
		if v.Type != gjson.Number {
			return unsaid
		}
		rate, ok := rateOf(v.Num * 1e6)
		plausible = plausible && ok
		return rate
	}
	f = figures{
		input: read("input_cost_per_token"), output: read("output_cost_per_token"),
		cached: read("cache_read_input_token_cost"), write: read("cache_creation_input_token_cost"),
	}
	if f.cached == 0 {
		f.cached = unsaid
	}
	if f.write < f.input || f.write == 0 {
		f.write = unsaid
	}
	return f, plausible
}

func litellmTokens(value gjson.Result, key string) int {
	return bounded(int(min(value.Get(key).Num, MaxTokens)), MaxTokens)
}
