package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// hidden is what is shown of a secret.
const hidden = "***"

// A Secret is text that no log, error or listing may show. However it is
// formatted, it says ***, or nothing if there is none.
type Secret struct{ masked }

// UnmarshalText takes the secret as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = secret(string(text))
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

func secret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{masked{text, hidden}}
}
