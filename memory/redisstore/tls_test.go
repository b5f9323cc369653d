package redisstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mnemo/memory/redisstore"
	"mnemo/memory/storetest/redisserver"
)

const tlsEnv = "REDISSTORE_TLS_URL"

func TestOpen_speaks_tls_with_whom_it_trusts(t *testing.T) {
	if url := os.Getenv(tlsEnv); url != "" { // a process whose system roots have the certificate
		s := open(t, redisstore.Options{URL: url})
		add(t, s, key, "over tls")
		wantQuestions(t, s, key, "over tls")
		return
	}
	cert, certKey := certificate(t)
	addr := redisserver.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	redisserver.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", certKey, "--tls-auth-clients", "no")
	if _, err := redisstore.Open(t.Context(), redisstore.Options{URL: "rediss://" + addr}); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("open with an unknown certificate: %v", err)
	}
	s := open(t, redisstore.Options{URL: "rediss://" + addr + "?skip_verify=true"})
	wantQuestions(t, s, key)
	trusting := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	trusting.Env = append(os.Environ(), tlsEnv+"=rediss://"+addr, "SSL_CERT_FILE="+cert)
	if out, err := trusting.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	wantQuestions(t, s, key, "over tls")
}

// certificate writes a self-signed certificate of 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}
