package telemetry

import (
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

// complaintInterval is the least time between two warnings about exporting.
const complaintInterval = time.Minute

// An exportError tells of an exporter's error without what may hold a secret.
type exportError struct {
	operation string
	err       error
}

// Error implements error.
func (e *exportError) Error() string { return e.operation + ": " + describe(e.err) }

// Unwrap returns the error as the exporter told it.
func (e *exportError) Unwrap() error { return e.err }

// complaints turns what the OpenTelemetry SDK has to say of itself into warnings,
// at most one per complaintInterval: a dead collector must not fill the log.
type complaints struct {
	logger *slog.Logger

	mu         sync.Mutex
	next       time.Time
	suppressed int
}

// hear makes c the process's listener; the SDK knows only one.
func (c *complaints) hear() {
	otel.SetErrorHandler(c)
	otel.SetLogger(logr.New(sink{c}))
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	if err != nil {
		c.warn("telemetry is not delivered", slog.String("error", describe(err)))
	}
}

// Private

func (c *complaints) warn(message string, attrs ...any) {
	c.mu.Lock()
	now := time.Now()
	if now.Before(c.next) {
		c.suppressed++
		c.mu.Unlock()
		return
	}
	suppressed := c.suppressed
	c.suppressed, c.next = 0, now.Add(complaintInterval)
	c.mu.Unlock()
	c.logger.Warn(message, append(attrs, slog.Int("suppressed", suppressed))...)
}

func exportFailed(operation string, err error) error {
	if err == nil {
		return nil
	}
	return &exportError{operation: operation, err: err}
}

var address = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"]+`)

// describe is the text of an exporter's error without what may hold a secret:
// addresses (they may carry a password) and what the collector said.
func describe(err error) string {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	text := err.Error()
	for _, quote := range []string{" (body:", " desc = "} {
		text, _, _ = strings.Cut(text, quote)
	}
	return clip(address.ReplaceAllString(text, "the endpoint"))
}

// A sink takes the SDK's own log. Its values are the very settings that it could
// not read, secrets among them; only the message is passed on.
type sink struct{ *complaints }

func (s sink) Init(logr.RuntimeInfo)          {}
func (s sink) Enabled(int) bool               { return false }
func (s sink) Info(int, string, ...any)       {}
func (s sink) WithName(string) logr.LogSink   { return s }
func (s sink) WithValues(...any) logr.LogSink { return s }
func (s sink) Error(_ error, message string, _ ...any) {
	s.warn("a setting of OTEL_* is not usable", slog.String("at", message))
}
