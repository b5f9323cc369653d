package telemetry

import (
	"regexp"
	"strings"
)

// redacted stands where something was taken out.
const redacted = "[redacted]"

// A token is what begins with prefix, not within a word, and goes on with at least so
// many letters of tokens, a digit among them where words could follow as well.
type token struct {
	prefix string
	least  int
	digit  bool
}

// tokens are the credentials of model APIs, clouds, forges and the like that can be
// told by their beginning.
var tokens = [...]token{
	{"sk-", 16, false}, {"sk_", 16, false}, {"pk_", 16, false}, {"rk_", 16, false}, {"xai-", 16, false}, {"gsk_", 16, false}, {"csk-", 16, false}, {"pplx-", 16, false},
	{"hf_", 16, false}, {"fw_", 16, false}, {"r8_", 16, false}, {"nvapi-", 16, false}, {"AKIA", 16, false}, {"ASIA", 16, false}, {"AIza", 30, false}, {"ya29.", 20, false},
	{"ghp_", 20, false}, {"gho_", 20, false}, {"ghu_", 20, false}, {"ghs_", 20, false}, {"ghr_", 20, false}, {"github_pat_", 20, false}, {"glpat-", 16, false},
	{"xoxb-", 10, false}, {"xoxp-", 10, false}, {"xoxa-", 10, false}, {"xoxs-", 10, false}, {"eyJ", 24, false},
	{"Bearer ", 8, true}, {"bearer ", 8, true}, {"Basic ", 12, true},
}

// patterns are what it takes more to tell: private keys, passwords in URLs, and
// addresses of people.
var patterns = [...]struct {
	hint    string
	pattern *regexp.Regexp
}{
	{"-----BEGIN ", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)},
	{"://", regexp.MustCompile(`://[^\s/:@"]*:[^\s/@"]+@`)},
	{"@", regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`)},
}

// Private

// redact takes out of a text what looks like a secret or an address, and what more
// matches.
func redact(text string, more []*regexp.Regexp) string {
	for i := range tokens {
		text = tokens[i].redact(text)
	}
	for i := range patterns {
		if strings.Contains(text, patterns[i].hint) {
			text = patterns[i].pattern.ReplaceAllLiteralString(text, redacted)
		}
	}
	for _, p := range more {
		text = p.ReplaceAllLiteralString(text, redacted)
	}
	return text
}

func (t token) redact(text string) string {
	var b strings.Builder
	done := 0 // up to here text is written
	for at := 0; ; {
		i := strings.Index(text[at:], t.prefix)
		if i < 0 {
			break
		}
		i += at
		at = i + len(t.prefix)
		end := at
		for end < len(text) && inToken(text[end]) {
			end++
		}
		if end-at < t.least || t.digit && !strings.ContainsAny(text[at:end], "0123456789") || i > 0 && inWord(text[i-1]) {
			continue
		}
		b.WriteString(text[done:i])
		b.WriteString(redacted)
		at, done = end, end
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

func inWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func inToken(c byte) bool {
	return inWord(c) || c == '-' || c == '.' || c == '+' || c == '/' || c == '='
}
