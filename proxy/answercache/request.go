package answercache

import (
	"strings"

	"github.com/tidwall/gjson"
)

// Cacheable reports whether the answer to a chat completion request may be kept and
// given again. Without being asked, that is so at temperature 0 (0, 0.0, -0e3), which
// must be spelt out: the default is 1. If the client asks for it, every temperature
// will do: it wants one answer to one question.
//
// Never is an answer kept that is spoken, which names a recording that expires, or
// that the client wants stored by the upstream (store: true), which the upstream
// must see each time. A request that searches the web is about today: it is
// cacheable only if the client asks. Any number of choices is. body must be JSON.
func Cacheable(body string, asked bool) bool {
	never, searches, zero := false, false, false
	gjson.Parse(body).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "temperature":
			zero = isZero(value)
		case "store":
			never = never || value.Type == gjson.True
		case "audio":
			never = never || value.Type != gjson.Null
		case "modalities":
			for _, modality := range value.Array() {
				never = never || modality.Str == "audio"
			}
		case "web_search_options":
			searches = value.Type != gjson.Null
		}
		return true
	})
	return !never && (asked || zero && !searches)
}

// Private

// isZero looks at the digits: 1e-999 is not 0, though a float64 cannot tell.
func isZero(value gjson.Result) bool {
	if value.Type != gjson.Number {
		return false
	}
	digits := value.Raw
	if e := strings.IndexAny(digits, "eE"); e >= 0 {
		digits = digits[:e]
	}
	return strings.Trim(digits, "-0.") == ""
}
