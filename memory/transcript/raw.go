package transcript

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Private

// dataURL begins a text that is not UTF-8 (RFC 2397). No JSON begins so.
const dataURL = "data:application/json;base64,"

// appendRaw appends an object or an array so that readRaw gives back its very
// bytes: as it is, if it stays on its line, else in a string.
func appendRaw(b []byte, raw string) []byte {
	switch {
	case !utf8.ValidString(raw):
		b = append(append(b, '"'), dataURL...)
		b = base64.StdEncoding.AppendEncode(b, []byte(raw))
		return append(b, '"')
	case strings.ContainsAny(raw, "\r\n") || !enclosed(raw):
		return gjson.AppendJSONString(b, raw)
	}
	return append(b, raw...)
}

// readRaw reads what appendRaw wrote.
func readRaw(value gjson.Result) (string, error) {
	if value.IsObject() || value.IsArray() {
		return value.Raw, nil
	}
	if value.Type != gjson.String {
		return "", fmt.Errorf("an object, an array or a text is expected, not %s", value.Type)
	}
	raw := value.String()
	if encoded, found := strings.CutPrefix(raw, dataURL); found {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return "", err
		}
		raw = string(decoded)
	}
	if nesting(raw, MaxDepth) > MaxDepth {
		return "", errDepth
	}
	if !gjson.Valid(raw) {
		return "", fmt.Errorf("the text is not valid JSON")
	}
	return raw, nil
}

// enclosed reports whether nothing stands before or behind the brackets.
func enclosed(raw string) bool {
	if raw == "" {
		return false
	}
	first, last := raw[0], raw[len(raw)-1]
	return first == '{' && last == '}' || first == '[' && last == ']'
}

// nesting is how deep arrays and objects of a JSON text stand in one another. It
// stops counting above limit: what parses the text behind it calls itself for
// every level.
func nesting(text string, limit int) (deepest int) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > deepest {
				if deepest = depth; deepest > limit {
					return deepest
				}
			}
		case '}', ']':
			depth--
		}
	}
	return deepest
}
