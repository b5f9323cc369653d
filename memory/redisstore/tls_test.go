package redisstore_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"sync"
	"testing"

	"mnemo/memory/redisstore"
)

func TestOpen_refuses_a_redis_that_it_cannot_trust(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}})
	if err != nil {
		t.Fatal(err)
	}
	var taking sync.WaitGroup
	taking.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 1)) // which shakes hands
			conn.Close()
		}
	})
	defer taking.Wait()
	defer l.Close()
	var untrusted *tls.CertificateVerificationError
	if s, err := redisstore.Open(t.Context(), redisstore.Options{URL: "rediss://" + l.Addr().String()}); s != nil || !errors.As(err, &untrusted) {
		t.Errorf("open: %v", err)
	}
}
