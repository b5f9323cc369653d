package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// hidden is what is shown of a secret.
const hidden = "***"

// A Secret is text that no log, error or listing may show. However it is
// formatted, it says ***.
type Secret struct{ text string }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.text }

// String hides the secret.
func (s Secret) String() string { return hidden }

// Format hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// UnmarshalText takes the secret as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	s.text = string(text)
	return nil
}

// A Hash is the SHA-256 of a client key. As text it is sha256: and 64 hex
// digits. The zero value is no hash.
type Hash [sha256.Size]byte

// String hides the digits: those of a weak key would give it away.
func (h Hash) String() string { return hashPrefix + hidden }

// UnmarshalText reads a hash.
func (h *Hash) UnmarshalText(text []byte) error {
	digits, found := strings.CutPrefix(string(text), hashPrefix)
	sum, err := hex.DecodeString(digits)
	if !found || err != nil || len(sum) != len(h) {
		return errors.New("must be sha256: and 64 hex digits; printf %s KEY | sha256sum prints them")
	}
	*h = Hash(sum)
	return nil
}

// Private

const hashPrefix = "sha256:"
