package config

import (
	"fmt"
	"io"
	"log/slog"
)

// A masked is text of which only a part may be shown. However it is formatted, it
// is that part.
type masked struct{ text, shown string }

// Reveal returns the whole text.
func (m masked) Reveal() string { return m.text }

// String is the part that may be shown.
func (m masked) String() string { return m.shown }

// Format shows what String shows, whatever the verb.
func (m masked) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.shown) }

// MarshalText returns what String returns.
func (m masked) MarshalText() ([]byte, error) { return []byte(m.shown), nil }

// LogValue shows what String shows.
func (m masked) LogValue() slog.Value { return slog.StringValue(m.shown) }

// Private

// public is text without a secret.
func public(text string) masked { return masked{text, text} }
