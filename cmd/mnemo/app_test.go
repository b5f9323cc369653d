package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestServe_needs_no_configuration(t *testing.T) {
	file(t, "unrelated.txt", "")
	_, out, _ := start(t, nil, "check")
	if got := row(out, "listen"); !slices.Equal(got, []string{"listen", "127.0.0.1:8080", "default"}) {
		t.Errorf("got %q", got)
	}
	up, dir := newFakeModel(t), t.TempDir()
	m := serve(t, setup{dir: dir, args: []string{"--upstream", up.url}})
	m.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	m.says(t, turn{session: "s", text: "What is my name?"}, "Your name is Ada.")
	// The client's own key goes upstream, and has its own sessions.
	if got := up.last().header.Get("Authorization"); got != "Bearer "+clientKey {
		t.Errorf("upstream is shown %q", got)
	}
	m.says(t, turn{session: "s", text: "What is my name?", key: "sk-other"}, "I do not know your name.")
	if info, err := os.Stat(filepath.Join(dir, "mnemo.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the sessions' file is %v, %v", info, err)
	}
}

func TestServe_refuses_what_cannot_work(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		file string
		args []string
		want []string // parts of what it says
	}{
		{"to be reached by others when nothing was decided", "", []string{"--listen", "0.0.0.0:0"},
			[]string{"mnemo: --listen: listen: 0.0.0.0:0 can be reached from other machines", "set auth.mode (MNEMO_AUTH, --auth)"}},
		{"mistakes, all at once", "listne: x\nmemory:\n  budget: many\nupstreams:\n- {name: a, ulr: http://h/v1}\n", nil, []string{
			"mnemo: mnemo.yaml:1:1: listne: unknown setting (did you mean listen?)\n",
			"mnemo: mnemo.yaml:3:11: memory.budget: must be a whole number",
			"mnemo: mnemo.yaml:5:13: upstreams[0].ulr: unknown setting (did you mean url?)\n"}},
		{"an address that is taken", "", []string{"--listen", taken.Addr().String()}, []string{"mnemo: listen tcp " + taken.Addr().String()}},
		{"a store in no directory", "", []string{"--store", "sqlite:none/mnemo.db"}, []string{"mnemo: open store none/mnemo.db: the directory", "does not exist"}},
		{"a certificate that is not there", "tls: {cert: none.pem, key: none.key}\n", nil, []string{"mnemo: tls: open none.pem"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file(t, "mnemo.yaml", c.file)
			code, out, errs := start(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...)...)
			if code != exitFailed || out != "" {
				t.Errorf("exits with %d, says %s", code, out)
			}
			for _, part := range c.want {
				if !strings.Contains(errs, part) {
					t.Errorf("%q is not in\n%s", part, errs)
				}
			}
		})
	}
}

func TestServe_knows_its_clients_by_keys_of_its_own(t *testing.T) {
	const adas, bobs, shared, upstreams = "mn-ada-5ecret", "mn-bob-5ecret", "mn-shared-5ecret", "sk-upstream-5ecret"
	up := newFakeModel(t)
	m := serve(t, setup{environ: []string{"UPSTREAM_KEY=" + upstreams}, file: patientStore + fmt.Sprintf(`
auth:
  keys:
  - {name: ada, hash: %q}
  - {name: bob, hash: %q, models: ["gpt-*"]}
  - {name: other, tenant: ada, hash: %q, models: ["o*"]}
upstreams:
- {name: fake, url: %q, keys: [{label: main, value: "${UPSTREAM_KEY}"}]}
`, hashOf(adas), hashOf(bobs), hashOf(shared), up.url)})
	a := m.says(t, turn{session: "s", text: "My name is Ada.", key: adas}, heard("My name is Ada."))
	if a.header.Get("X-Upstream-Key") != "main" {
		t.Errorf("the label of the key is not in %v", a.header)
	}
	m.says(t, turn{session: "s", text: "What is my name?", key: adas, stream: true}, "Your name is Ada.")
	m.says(t, turn{session: "s", text: "What is my name?", key: bobs}, "I do not know your name.")
	before := len(up.all())
	for key, want := range map[string]int{
		"mn-wrong": http.StatusUnauthorized, strings.ToUpper(adas): http.StatusUnauthorized, hashOf(adas): http.StatusUnauthorized,
		shared: http.StatusForbidden, // it may use other models only
	} {
		if a, err := m.ask(t.Context(), turn{session: "s", text: "Hello.", key: key}); err != nil || a.status != want || gjson.Get(a.body, "error.code").String() == "" {
			t.Errorf("key %s gets %d %s, %v, want %d", key, a.status, a.body, err, want)
		}
	}
	if n := len(up.all()) - before; n != 0 {
		t.Errorf("%d refused calls went upstream", n)
	}
	for _, call := range up.all() {
		if got := call.header.Get("Authorization"); got != "Bearer "+upstreams {
			t.Errorf("upstream is shown %q", got)
		}
	}
}

func TestServe_shows_no_key_of_its_own_to_an_upstream_without_keys(t *testing.T) {
	const key = "mn-ada-5ecret"
	up := newFakeModel(t)
	m := serve(t, setup{args: []string{"--upstream", up.url}, file: fmt.Sprintf("auth: {keys: [{name: ada, hash: %q}]}\n", hashOf(key))})
	m.says(t, turn{session: "s", text: "Hello.", key: key}, heard("Hello."))
	m.says(t, turn{text: "Hello.", key: key, stream: true}, heard("Hello."))
	if all := fmt.Sprint(up.all()); strings.Contains(all, key) {
		t.Errorf("a client's key goes upstream: %s", all)
	}
}

func TestServe_speaks_TLS(t *testing.T) {
	dir := t.TempDir()
	roots := selfSigned(t, dir)
	up := newFakeModel(t)
	m := serve(t, setup{
		dir: dir, file: patientStore + "tls: {cert: cert.pem, key: key.pem}\n", args: []string{"--upstream", up.url},
		trust: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	})
	if !strings.HasPrefix(m.url, "https://127.0.0.1:") {
		t.Errorf("it says that it listens on %s", m.url)
	}
	m.says(t, turn{session: "s", text: "My name is Ada."}, heard("My name is Ada."))
	m.says(t, turn{session: "s", text: "What is my name?", stream: true}, "Your name is Ada.")
}

// hashOf is what auth.keys holds of a key.
func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// selfSigned writes cert.pem and key.pem for 127.0.0.1, and returns who trusts them.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	public, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: public}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		text := pem.EncodeToMemory(block)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "cert.pem" && !roots.AppendCertsFromPEM(text) {
			t.Fatal("the certificate cannot be read")
		}
	}
	return roots
}
