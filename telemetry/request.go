package telemetry

import (
	"cmp"
	"math"

	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/attribute"
)

// maxListed bounds the entries of an attribute that is a list.
const maxListed = 16

// Private

// request reads the parameters of a chat call from its body. A member that is not
// what the API takes there is passed over.
func (a *texts) request(body string, s Semconv) {
	if body == "" {
		return
	}
	root := gjson.Parse(body)
	if !root.IsObject() {
		return
	}
	output := ""
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "modalities":
			if value.Get(`#(=="audio")`).Exists() {
				output = "speech"
			}
		case "response_format":
			output = cmp.Or(output, outputFormats[value.Get("type").Str])
		case "temperature":
			a.number(requestTemperature, value)
		case "top_p":
			a.number(requestTopP, value)
		case "frequency_penalty":
			a.number(requestFrequency, value)
		case "presence_penalty":
			a.number(requestPresence, value)
		case "max_tokens", "max_completion_tokens":
			a.whole(requestMaxTokens, value)
		case "seed":
			a.whole(requestSeed, value)
		case "n":
			if value.Num != 1 {
				a.whole(requestChoices, value)
			}
		case "stop":
			a.list(requestStop, value)
		case "service_tier":
			a.text(requestTier, value)
		case "reasoning_effort":
			if s.latest() {
				a.text(requestReasoning, value)
			}
		}
		return true
	})
	a.add(outputType, output)
}

func (a *texts) number(key attribute.Key, value gjson.Result) {
	if value.Type == gjson.Number && !math.IsInf(value.Num, 0) {
		*a = append(*a, key.Float64(value.Num))
	}
}

func (a *texts) whole(key attribute.Key, value gjson.Result) {
	if value.Type == gjson.Number && value.Num == math.Trunc(value.Num) && math.Abs(value.Num) < math.MaxInt64 {
		*a = append(*a, key.Int64(value.Int()))
	}
}

func (a *texts) text(key attribute.Key, value gjson.Result) {
	if value.Type == gjson.String {
		a.add(key, clip(value.Str))
	}
}

// list takes a string, or a list of them.
func (a *texts) list(key attribute.Key, value gjson.Result) {
	var all []string
	if value.Type == gjson.String {
		all = []string{clip(value.Str)}
	}
	if value.IsArray() {
		value.ForEach(func(_, entry gjson.Result) bool {
			if entry.Type == gjson.String {
				all = append(all, clip(entry.Str))
			}
			return len(all) < maxListed
		})
	}
	if len(all) > 0 {
		*a = append(*a, key.StringSlice(all))
	}
}

// outputFormats are what kind of answer a response_format asks for.
var outputFormats = map[string]string{"json_object": "json", "json_schema": "json", "text": "text"}
