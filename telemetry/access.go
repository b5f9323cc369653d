package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// StatusClientLeft is the status of a request whose client left before the answer
// was whole.
const StatusClientLeft = 499

// Request is what is known of one HTTP request at its end.
type Request struct {
	Method    string
	Route     string // the pattern that matched, never the path itself
	Status    int    // what the client got, or StatusClientLeft
	Duration  time.Duration
	BytesIn   int64
	BytesOut  int64
	RequestID string
	Model     string
	Upstream  string
	KeyLabel  string // never the key
	Attempts  int
	Usage     Usage
	Memory    MemoryUse
	Session   string // logged as a short hash
}

// InFlight changes the number of requests being served: by 1 when one comes, by -1
// when it is done.
func (t *Telemetry) InFlight(change int) { t.inFlight.Add(int64(change)) }

// Access counts one request and writes its line: what came, what became of it and
// what it cost, without content, credentials, path or query.
func (t *Telemetry) Access(ctx context.Context, r *Request) {
	t.served.add(requestKey{r.Route, classOf(r.Status)}, 1)
	if !t.handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var space [20]slog.Attr
	// Not by the Logger: it would look up the caller, which is always here.
	record := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
	record.AddAttrs(r.attributes(space[:0])...)
	_ = t.handler.Handle(ctx, record) // the writer never fails
}

// Private

func (r *Request) attributes(attrs []slog.Attr) []slog.Attr {
	attrs = append(attrs,
		slog.String("method", methodOf(r.Method)),
		slog.String("route", r.Route),
		slog.Int("status", r.Status),
		slog.Int64("duration_us", r.Duration.Microseconds()),
		slog.Int64("bytes_in", r.BytesIn),
		slog.Int64("bytes_out", r.BytesOut))
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, clip(value)))
		}
	}
	text("request_id", r.RequestID)
	text("model", r.Model)
	text("upstream", r.Upstream)
	text("key", r.KeyLabel)
	if r.Attempts > 0 {
		attrs = append(attrs, slog.Int("attempts", r.Attempts))
	}
	if r.Usage.Source != "" {
		attrs = append(attrs,
			slog.Int("input_tokens", r.Usage.Input),
			slog.Int("output_tokens", r.Usage.Output),
			slog.Int("cached_tokens", r.Usage.CachedInput),
			slog.String("usage", string(r.Usage.Source)))
	}
	if r.Memory.Status != "" {
		attrs = append(attrs,
			slog.String("memory", r.Memory.Status),
			slog.Int("memory_turns", r.Memory.Turns),
			slog.Int("memory_tokens", r.Memory.Tokens),
			slog.Int("memory_dropped", r.Memory.Dropped))
	}
	if r.Session != "" {
		attrs = append(attrs, slog.String("session", sessionHash(r.Session)))
	}
	return attrs
}

// sessionHash is what stands for a session in the log: the first 12 hex digits of
// its SHA-256, so that who knows an id finds its lines.
func sessionHash(session string) string {
	sum := sha256.Sum256([]byte(session))
	return hex.EncodeToString(sum[:6])
}

type requestKey struct{ route, class string }

func (k requestKey) labels() []attribute.KeyValue {
	return []attribute.KeyValue{httpRoute.String(k.route), statusClass.String(k.class)}
}

// classOf is the first digit of a status, but 499 is its own class: it is nobody's
// error.
func classOf(status int) string {
	switch {
	case status == StatusClientLeft:
		return "499"
	case status < 100 || status > 599:
		return other
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

// methodOf bounds what a client may write into the log.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return errorOther
}
