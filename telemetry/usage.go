package telemetry

import "github.com/tidwall/gjson"

// Sources of a Usage.
const (
	Measured  UsageSource = "measured"  // the upstream said so
	Estimated UsageSource = "estimated" // counted here
)

// UsageSource says where token counts come from; "" means that there are none.
type UsageSource string

// Usage is the tokens of one call.
type Usage struct {
	Input       int // all of the prompt, CachedInput included
	Output      int // all of the answer, Reasoning included
	CachedInput int
	Reasoning   int
	Source      UsageSource
}

// Measure takes over what the usage member of an answer reports, and returns whether
// that is a report at all. What it leaves out stays as it is.
func (u *Usage) Measure(reported gjson.Result) bool {
	if !reported.IsObject() {
		return false
	}
	u.Source = Measured
	reported.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			u.Input = int(value.Int())
		case "completion_tokens":
			u.Output = int(value.Int())
		case "prompt_tokens_details":
			u.CachedInput = int(value.Get("cached_tokens").Int())
		case "completion_tokens_details":
			u.Reasoning = int(value.Get("reasoning_tokens").Int())
		}
		return true
	})
	return true
}
