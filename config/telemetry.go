package config

import (
	"errors"
	"regexp"
	"regexp/syntax"
)

// Values of Telemetry.Semconv.
const (
	Semconv141    = "v1.41"
	SemconvLatest = "latest"
	SemconvBoth   = "both"
)

// Telemetry says what traces and metrics hold. Where they go is said by the OTEL_…
// variables of the environment.
type Telemetry struct {
	Semconv      string    `yaml:"semconv" oneof:"v1.41 latest both"`   // the names, of OpenTelemetry's conventions for generative AI
	Content      bool      `yaml:"content"`                             // spans hold what was said
	ContentLimit Size      `yaml:"content_limit" range:">=64 <=256KiB"` // of what was said, in each span
	Redact       []Pattern `yaml:"redact"`                              // what is left out of it
	Tenants      int       `yaml:"tenants" range:">=0 <=1000"`          // that metrics tell apart; the rest is one
}

// A Pattern is a regular expression (RE2). The zero value is none.
type Pattern struct{ *regexp.Regexp }

// String is the expression as it was written.
func (p Pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

// MarshalText returns the expression as it was written.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText compiles an expression.
func (p *Pattern) UnmarshalText(text []byte) error {
	if len(text) > maxPattern {
		return errors.New("must be a shorter expression")
	}
	compiled, err := regexp.Compile(string(text))
	if syntaxError, ok := errors.AsType[*syntax.Error](err); ok {
		return errors.New("must be a regular expression: " + syntaxError.Code.String())
	}
	if compiled.MatchString("") {
		return errors.New("must not match what is empty")
	}
	p.Regexp = compiled
	return nil
}

// Private

const (
	// maxPattern bounds an expression, in bytes.
	maxPattern = 1 << 10
	// maxPatterns bounds how many there are: each reads all that was said.
	maxPatterns = 100
)
