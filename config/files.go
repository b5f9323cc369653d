package config

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// A CertFile is a PEM file of certificates, and what it held when the configuration
// was loaded. The zero value is none, and "" as text.
type CertFile struct {
	Path string
	PEM  []byte
}

// String is the path.
func (f CertFile) String() string { return f.Path }

// MarshalText returns the path.
func (f CertFile) MarshalText() ([]byte, error) { return []byte(f.Path), nil }

// UnmarshalText takes a path. Load reads the file.
func (f *CertFile) UnmarshalText(text []byte) error {
	*f = CertFile{Path: string(text)}
	return nil
}

// Private

const (
	maxKeyFile  = 64 << 10 // bytes
	maxCertFile = 1 << 20  // bytes
)

// readKey reads the key that is the one line of a file.
func (l *loader) readKey(at string, k *UpstreamKey) {
	if k.File == "" {
		return
	}
	file := at + ".file"
	if _, given := l.origins[at+".value"]; given {
		l.wrong(file, "and value exclude each other")
		return
	}
	text, err := l.read(k.File)
	line := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		l.wrong(file, "%v", err)
	case len(text) > maxKeyFile:
		l.wrong(file, "%s is larger than %v", k.File, Size(maxKeyFile))
	case line == "":
		l.wrong(file, "%s is empty", k.File)
	case strings.ContainsAny(line, "\r\n"):
		l.wrong(file, "%s has several lines: it must hold one key", k.File)
	case !keyText.MatchString(line):
		l.wrong(file, "%s must hold a key: visible ASCII characters", k.File)
	default:
		k.Value = secret(line)
		l.origins[at+".value"] = Origin{Name: k.File}
	}
}

// readCertificates reads the file of an upstream's authorities.
func (l *loader) readCertificates(key string, f *CertFile) {
	if f.Path == "" {
		return
	}
	text, err := l.read(f.Path)
	switch {
	case err != nil:
		l.wrong(key, "%v", err)
		return
	case len(text) > maxCertFile:
		l.wrong(key, "%s is larger than %v", f.Path, Size(maxCertFile))
		return
	}
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			l.wrong(key, "%s: certificate %d: %v", f.Path, n+1, err)
			return
		}
		n++
	}
	if n == 0 {
		l.wrong(key, "%s holds no certificate in PEM", f.Path)
		return
	}
	f.PEM = text
}
