package upstream

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

const maxNesting = 10_000 // of JSON that is checked by recursion

// Private

func literal(s string) string { return string(gjson.AppendJSONString(nil, s)) }

// adapt makes of a request's body what a candidate is to get.
func (c *call) adapt(body string, to *candidate) string {
	if to.model != "" {
		body = withModel(body, to.literal)
	}
	if to.upstream.promptCacheKey && c.request.CacheKey != "" && c.request.chat() {
		body = withCacheKey(body, literal(c.request.CacheKey))
	}
	return body
}

// withModel puts a JSON literal in place of every top-level member "model" of a
// body; all other bytes stay. A body that is no JSON object, or has no such
// member, stays as it is.
func withModel(body, literal string) string {
	object, ok := object(body)
	if !ok {
		return body
	}
	var b strings.Builder
	from := 0
	object.ForEach(func(name, value gjson.Result) bool {
		if name.String() == "model" {
			b.WriteString(body[from:value.Index])
			b.WriteString(literal)
			from = value.Index + len(value.Raw)
		}
		return true
	})
	if from == 0 {
		return body
	}
	b.WriteString(body[from:])
	return b.String()
}

// withCacheKey adds a member "prompt_cache_key" to a body that is a JSON object
// with members, none of which has that name; all other bytes stay.
func withCacheKey(body, literal string) string {
	object, ok := object(body)
	if !ok {
		return body
	}
	members, found := 0, false
	object.ForEach(func(name, _ gjson.Result) bool {
		members++
		found = name.String() == "prompt_cache_key"
		return !found
	})
	if members == 0 || found {
		return body
	}
	at := strings.IndexByte(body, '{') + 1
	return body[:at] + `"prompt_cache_key":` + literal + "," + body[at:]
}

func object(body string) (gjson.Result, bool) {
	if !validJSON(body) {
		return gjson.Result{}, false
	}
	parsed := gjson.Parse(body)
	return parsed, parsed.IsObject()
}

// validJSON takes the quick check unless the text could be nested so deeply that
// this one, which recurses without a bound, would need too much stack.
func validJSON(text string) bool {
	if strings.Count(text, "[")+strings.Count(text, "{") > maxNesting {
		return json.Valid([]byte(text))
	}
	return gjson.Valid(text)
}
