package proxy

import (
	"bytes"
	"cmp"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"mnemo/proxy/manage"
)

// hopByHop are the header fields that end at a proxy (RFC 9110, section 7.6.1),
// and those that each side of it writes for itself.
var hopByHop = map[string]bool{
	"Connection":          true,
	"Content-Length":      true,
	"Expect":              true,
	"Host":                true,
	"Keep-Alive":          true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
}

// Header fields of mnemo's own.
const (
	headerMode        = "X-Memory-Mode"
	headerBudget      = "X-Memory-Budget"
	headerStrategy    = "X-Memory-Strategy"
	headerPersona     = "X-Persona"
	headerPersonaVars = "X-Persona-Vars"
	headerCache       = "X-Cache"

	headerStatus  = "X-Memory-Status"
	headerTurns   = "X-Memory-Turns"
	headerTokens  = "X-Memory-Tokens"
	headerDropped = "X-Memory-Dropped"
	headerSummary = "X-Memory-Summary"

	headerUpstream  = "X-Upstream"
	headerKey       = "X-Upstream-Key"
	headerAttempts  = "X-Upstream-Attempts"
	headerRequestID = "X-Request-Id"
	headerDegraded  = "X-Degraded"
)

// Why a cheaper model answered, as X-Degraded says.
const (
	degradedBudget = "budget"
	degradedQueue  = "queue"
)

// requestHeader holds a request's header fields, split into those that go
// upstream and those that are addressed to mnemo.
type requestHeader struct {
	up  http.Header       // end-to-end fields, repeated ones in order
	own map[string]string // by canonical name; nil if there are none
	// ownRepeated names a field of ours that came more than once.
	ownRepeated string
}

// readHeader reads the raw header of a request: fasthttp's own view joins
// cookies and reorders repeated fields.
func (s *settings) readHeader(h *fasthttp.RequestHeader) requestHeader {
	raw := string(h.RawHeaders())
	lines := strings.Count(raw, "\n")
	values := make([]string, 0, lines)
	out := requestHeader{up: make(http.Header, lines)}
	var connection []string
	for len(raw) > 0 {
		var line string
		line, raw, _ = strings.Cut(raw, "\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t\r")
		switch {
		case name == "Connection":
			connection = append(connection, value)
		case hopByHop[name]:
		case s.ownHeaders[name]:
			if out.own == nil {
				out.own = make(map[string]string, 4)
			}
			if _, again := out.own[name]; again {
				out.ownRepeated = name
			}
			out.own[name] = value
		default:
			if had := out.up[name]; had != nil {
				out.up[name] = append(had, value)
				continue
			}
			values = append(values, value)
			out.up[name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	dropNamed(out.up, connection)
	return out
}

// ambiguous reports whether a request has both framings, which two servers may
// read in two ways (RFC 9112, section 6.1).
func ambiguous(h *fasthttp.RequestHeader) bool {
	return h.ContentLength() == -1 && bytes.Contains(bytes.ToLower(h.RawHeaders()), []byte("content-length:"))
}

// Private

// dropNamed removes the fields that Connection fields declare hop-by-hop.
func dropNamed(h http.Header, connection []string) {
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.Del(name)
			}
		}
	}
}

// writeHeader copies an answer's end-to-end fields to the response.
func writeHeader(to *fasthttp.ResponseHeader, from http.Header) {
	named := from["Connection"]
	for name, values := range from {
		if hopByHop[name] || (named != nil && namesField(named, name)) {
			continue
		}
		for _, value := range values {
			to.Add(name, value)
		}
	}
}

func namesField(connection []string, field string) bool {
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(name), field) {
				return true
			}
		}
	}
	return false
}

// writeOwnHeader adds what mnemo says of the call.
func (x *exchange) writeOwnHeader() {
	h := &x.web.Response.Header
	if x.session != "" {
		h.Set("X-Session-ID", x.session)
	}
	if x.call.Attempts > 0 {
		h.Set(headerUpstream, x.call.Upstream)
		h.Set(headerAttempts, strconv.Itoa(x.call.Attempts))
		if x.call.KeyLabel != "" {
			h.Set(headerKey, x.call.KeyLabel)
		}
	}
	if x.call.Degraded {
		h.Set(headerDegraded, degradedQueue)
		if x.thrifty {
			h.Set(headerDegraded, degradedBudget)
		}
	}
	if m := &x.call.Memory; m.Status != "" {
		h.Set(headerStatus, m.Status)
		h.Set(headerTurns, strconv.Itoa(m.Turns))
		h.Set(headerTokens, strconv.Itoa(m.Tokens))
		h.Set(headerDropped, strconv.Itoa(m.Dropped))
		h.Set(headerSummary, cmp.Or(m.Summary, manage.SummaryNone))
	}
	id := h.Peek(headerRequestID)
	if len(id) == 0 {
		x.request.RequestID = newRequestID()
		h.Set(headerRequestID, x.request.RequestID)
		return
	}
	x.request.RequestID = string(id)
}
