package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFiles_hold_keys_on_their_one_line(t *testing.T) {
	for _, text := range []string{"sk-file", "sk-file\n", "\n  sk-file\r\n\n"} {
		cfg := load(t, Sources{ReadFile: files{
			DefaultFile: "upstreams: [{name: a, url: http://h, keys: [{label: x, file: a.key}, {value: sk-v}]}]", "a.key": text,
		}.read})
		k := cfg.Upstreams[0].Keys[0]
		if k.Value.Reveal() != "sk-file" || k.File != "a.key" || k.Label != "x" || k.Weight != 1 {
			t.Errorf("%q gives %+v", text, k)
		}
		if s := setting(t, cfg, "upstreams[0].keys[0].value"); s.Value != "***" || s.Origin != "a.key" {
			t.Errorf("listed as %+v", s)
		}
	}
}

func TestFiles_of_keys_are_read_again_with_the_configuration(t *testing.T) {
	on := files{DefaultFile: "upstreams: [{name: a, url: http://h, keys: [{file: a.key}]}]", "a.key": "sk-1"}
	before := load(t, Sources{ReadFile: on.read})
	on["a.key"] = "sk-2"
	after := load(t, Sources{ReadFile: on.read})
	if got := before.Changes(after); !slices.Equal(got, []string{"upstreams[0].keys[0].value"}) || after.Upstreams[0].Keys[0].Value.Reveal() != "sk-2" {
		t.Errorf("changed: %q", got)
	}
}

func TestFiles_of_keys_that_hold_none_are_mistakes_that_name_them(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "a.key is empty",
		" \n\n":                               "a.key is empty",
		"hunter2\nhunter3\n":                  "a.key has several lines: it must hold one key",
		"hun ter2":                            "a.key must hold a key: visible ASCII characters",
		strings.Repeat("hunter2", 64<<10/7+1): "a.key is larger than 64KiB",
	} {
		got := mistakes(t, Sources{ReadFile: files{DefaultFile: "upstreams: [{name: a, url: http://h, keys: [{file: a.key}]}]", "a.key": text}.read})
		if !slices.Equal(got, []string{"mnemo.yaml:1:52: upstreams[0].keys[0].file: " + want}) {
			t.Errorf("%.20q gives %q", text, got)
		}
	}
	got := mistakes(t, Sources{ReadFile: files{DefaultFile: "upstreams: [{name: a, url: http://h, keys: [{file: b.key}, {file: b.key, value: v}]}]"}.read})
	if !slices.Equal(got, []string{
		"mnemo.yaml:1:52: upstreams[0].keys[0].file: open b.key: file does not exist",
		"mnemo.yaml:1:67: upstreams[0].keys[1].file: and value exclude each other",
	}) {
		t.Errorf("got %q", got)
	}
}

func TestFiles_of_keys_are_not_read_if_the_environment_replaces_the_pool(t *testing.T) {
	cfg := load(t, Sources{ReadFile: files{DefaultFile: "upstreams: [{name: a, url: http://h, keys: [{file: gone.key}]}]"}.read, Environ: []string{"MNEMO_UPSTREAM_KEYS=sk-e"}})
	if k := cfg.Upstreams[0].Keys; len(k) != 1 || k[0].Value.Reveal() != "sk-e" {
		t.Errorf("got %+v", k)
	}
}

func TestFiles_of_authorities_are_read_and_checked(t *testing.T) {
	const config = "upstreams: [{name: a, url: http://h, ca: ca.pem}]"
	good := authority(t)
	cfg := load(t, Sources{ReadFile: files{DefaultFile: config, "ca.pem": "two of them\n" + good + good}.read})
	if ca := cfg.Upstreams[0].CA; ca.Path != "ca.pem" || !strings.Contains(string(ca.PEM), good) || setting(t, cfg, "upstreams[0].ca").Value != "ca.pem" {
		t.Errorf("got %+v", ca)
	}
	if got := cfg.Changes(load(t, Sources{ReadFile: files{DefaultFile: config, "ca.pem": authority(t)}.read})); !slices.Equal(got, []string{"upstreams[0].ca"}) {
		t.Errorf("changed: %q", got)
	}
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no")}))
	for text, want := range map[string]string{
		"":                                 "ca.pem holds no certificate in PEM",
		"no":                               "ca.pem holds no certificate in PEM",
		good + broken:                      "ca.pem: certificate 2: x509: malformed certificate",
		strings.Repeat("x", maxCertFile+1): "ca.pem is larger than 1MiB",
	} {
		got := mistakes(t, Sources{ReadFile: files{DefaultFile: config, "ca.pem": text}.read})
		if !slices.Equal(got, []string{"mnemo.yaml:1:42: upstreams[0].ca: " + want}) {
			t.Errorf("%.20q gives %q", text, got)
		}
	}
	if got := mistakes(t, Sources{ReadFile: files{DefaultFile: config}.read}); !slices.Equal(got, []string{"mnemo.yaml:1:42: upstreams[0].ca: open ca.pem: file does not exist"}) {
		t.Errorf("got %q", got)
	}
}

// files is a file system.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	text, found := f[path]
	if !found {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

// authority is a new certificate that signed itself.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
