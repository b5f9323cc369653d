package proxy

import (
	"strings"
)

const (
	dataPlane     = "/v1/"
	sessionPlane  = "/s/"
	chatTarget    = "/chat/completions"
	maxSessionRaw = 3 * 256 // an id of which every character is escaped
)

// A target is where a request on the data plane goes.
type target struct {
	rest    string // the raw bytes after /v1, with the query: "/models?limit=2"
	session string // the id from /s/<id>/v1/..., unescaped
	inPath  bool   // there was one
}

// parseTarget splits a raw request URI. It reports false for anything outside
// the data plane. Nothing is decoded but the session id.
func parseTarget(uri string) (t target, ok bool) {
	uri = originForm(uri)
	if rest, found := strings.CutPrefix(uri, sessionPlane); found {
		id, after, found := strings.Cut(rest, "/")
		if !found || len(id) > maxSessionRaw {
			return target{}, false
		}
		t.session, t.inPath = unescape(id), true
		uri = "/" + after
	}
	if !strings.HasPrefix(uri, dataPlane) {
		return target{}, false
	}
	t.rest = uri[len(dataPlane)-1:]
	return t, true
}

// path is the target without its query.
func (t *target) path() string {
	if i := strings.IndexByte(t.rest, '?'); i >= 0 {
		return t.rest[:i]
	}
	return t.rest
}

// Private

// originForm strips scheme and host from an absolute-form request target
// (RFC 9112, section 3.2.2), which clients send when they take us for a proxy.
func originForm(uri string) string {
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	if i := strings.Index(uri, "://"); i > 0 {
		if j := strings.IndexByte(uri[i+3:], '/'); j >= 0 {
			return uri[i+3+j:]
		}
	}
	return uri
}

// unescape decodes %XX and leaves everything else, "+" included, as it is. A
// malformed escape stays as written and then fails the check of the id.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
