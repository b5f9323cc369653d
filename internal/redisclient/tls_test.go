package redisclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mnemo/internal/redisclient"
	"mnemo/memory/storetest/redisserver"
)

const trustedEnv = "REDISCLIENT_TLS_URL"

func TestClient_speaks_tls_with_whom_it_trusts(t *testing.T) {
	if url := os.Getenv(trustedEnv); url != "" { // a process whose system roots have the certificate
		if err := open(t, url, redisclient.Options{}).Ping(t.Context()).Err(); err != nil {
			t.Error(err)
		}
		return
	}
	cert, certKey := certificate(t)
	addr := redisserver.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	redisserver.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", certKey, "--tls-auth-clients", "no")
	var untrusted *tls.CertificateVerificationError
	if err := open(t, "rediss://"+addr, redisclient.Options{}).Ping(t.Context()).Err(); !errors.As(err, &untrusted) {
		t.Errorf("with an unknown certificate: %v", err)
	}
	if err := open(t, "rediss://"+addr+"?skip_verify=true", redisclient.Options{}).Ping(t.Context()).Err(); err != nil {
		t.Errorf("with a certificate that nobody looks at: %v", err)
	}
	trusting := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	trusting.Env = append(os.Environ(), trustedEnv+"=rediss://"+addr, "SSL_CERT_FILE="+cert)
	if out, err := trusting.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
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
