package pgstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mnemo/memory/pgstore"
	"mnemo/memory/storetest/pgserver"
)

func do(t *testing.T, server pgserver.Database, statements string) string {
	t.Helper()
	said, err := server.Do(t.Context(), statements)
	if err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
	return said
}

func TestOpen_says_why_the_server_cannot_be_used_without_the_password(t *testing.T) {
	server := pgserver.Fresh(t)
	app, reader := server.Name+"_app", server.Name+"_reader"
	do(t, server, `CREATE ROLE `+app+` LOGIN PASSWORD 's3cret'; CREATE ROLE `+reader+` LOGIN PASSWORD 's3cret';
		ALTER ROLE `+reader+` SET default_transaction_read_only = on; CREATE SCHEMA readable; GRANT ALL ON SCHEMA readable TO `+reader)
	opened(t, pgstore.Options{URL: server.URL() + "search_path=readable"})
	do(t, server, `GRANT SELECT ON ALL TABLES IN SCHEMA readable TO `+reader)
	at := "@" + server.Addr + "/" + server.Name + "?"
	for _, tt := range []struct{ url, want string }{
		{"postgres://" + app + ":wr0ng-s3cret" + at, "28P01"},
		{"postgres://nobody:s3cret" + at, "28P01"},
		{"postgres://" + app + ":s3cret@" + server.Addr + "/none", "3D000"},
		{"postgres://" + app + ":s3cret" + at + "sslmode=require", "TLS"},
		{"postgres://" + app + ":s3cret" + at + "no_such_setting=1", "42704"},
		{"postgres://" + app + ":s3cret" + at, "create schema mnemo: "},
		{"postgres://" + reader + ":s3cret" + at + "search_path=readable", "25006"},
	} {
		var log bytes.Buffer
		s, err := pgstore.Open(t.Context(), pgstore.Options{URL: tt.url, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if s != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), server.Addr) {
			t.Errorf("%s: %v, want %s", tt.url, err, tt.want)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(log.String(), "s3cret") {
				t.Errorf("%s: %v, %s", tt.url, err, log.String())
			}
		}
	}
}

func TestOpen_needs_no_right_to_create_where_the_schema_is(t *testing.T) {
	server := pgserver.Fresh(t)
	opened(t, pgstore.Options{URL: server.URL()})
	app := server.Name + "_app"
	do(t, server, `CREATE ROLE `+app+` LOGIN PASSWORD 'right'; GRANT USAGE ON SCHEMA mnemo TO `+app+`;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mnemo TO `+app)
	s := opened(t, pgstore.Options{URL: "postgres://" + app + ":right@" + server.Addr + "/" + server.Name})
	add(t, s, key, "hello")
	wantQuestions(t, s, key, "hello")
}

func TestOpen_migrates_once_however_many_open(t *testing.T) {
	server := pgserver.Fresh(t)
	var stores [8]*pgstore.Store
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			var err error
			if stores[i], err = pgstore.Open(t.Context(), pgstore.Options{URL: server.URL()}); err != nil {
				t.Errorf("open %d: %v", i, err)
				return
			}
			if _, err := stores[i].Append(t.Context(), key, exchange(t, fmt.Sprint(i))); err != nil {
				t.Errorf("append %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i, s := range stores {
		if s == nil {
			continue
		}
		if got, err := s.Load(t.Context(), key, need); err != nil || got.Seq != int64(len(stores)) {
			t.Errorf("load %d: seq %d, %v", i, got.Seq, err)
		}
		s.Close()
	}
	done := do(t, server, `SELECT string_agg(version::text, ' ' ORDER BY version) FROM mnemo.migrations`)
	if done != "1 2 3" {
		t.Errorf("done are %q", done)
	}
}

func TestOpen_goes_on_where_an_older_version_stopped_and_refuses_a_newer_one(t *testing.T) {
	server := pgserver.Fresh(t)
	s := opened(t, pgstore.Options{URL: server.URL()})
	add(t, s, key, "old")
	do(t, server, `DELETE FROM mnemo.migrations WHERE version = 3; DROP FUNCTION mnemo.load_session`)
	s = opened(t, pgstore.Options{URL: server.URL()})
	add(t, s, key, "new")
	wantQuestions(t, s, key, "old", "new")
	if got, err := s.Load(t.Context(), key, need); err != nil || got.Seq != 2 {
		t.Errorf("load: seq %d, %v", got.Seq, err)
	}
	do(t, server, `INSERT INTO mnemo.migrations VALUES (4)`)
	if s, err := pgstore.Open(t.Context(), pgstore.Options{URL: server.URL()}); s != nil || !errors.Is(err, pgstore.ErrNewer) {
		t.Errorf("open of a newer schema: %v", err)
	}
	wantQuestions(t, s, key, "old", "new") // who is at work stays so
}

func TestOpen_does_not_wait_for_a_server_that_comes_later(t *testing.T) {
	server := pgserver.Start(t)
	server.Kill()
	var warned bytes.Buffer
	s := opened(t, pgstore.Options{
		URL: strings.Replace(server.URL(), "postgres@", "postgres:s3cret@", 1), Log: slog.New(slog.NewTextHandler(&warned, nil)),
	})
	if text := warned.String(); !strings.Contains(text, server.Addr) || strings.Contains(text, "s3cret") {
		t.Errorf("the log says %q", text)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a server that is not there answers a ping")
	}
	server.Restart(t)
	add(t, s, key, "late")
	wantQuestions(t, s, key, "late")
}

func TestOpen_warns_if_the_server_does_not_wait_for_its_disk(t *testing.T) {
	for setting, warned := range map[string]bool{"fsync=off": true, "fsync=on": false} {
		server := pgserver.Start(t, setting)
		for parameter, warned := range map[string]bool{"": warned, "synchronous_commit=off": true} {
			var log bytes.Buffer
			opened(t, pgstore.Options{URL: server.URL() + parameter, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if got := strings.Contains(log.String(), "level=WARN"); got != warned {
				t.Errorf("%s, %s: the log is %q", setting, parameter, log.String())
			}
		}
	}
}

func TestOpen_speaks_tls_with_whom_it_trusts(t *testing.T) {
	server := pgserver.Start(t)
	do(t, server.Database, `ALTER SYSTEM SET ssl = on`)
	server.Kill()
	cert := certify(t, server)
	server.Restart(t)
	u := server.URL() + "sslmode=verify-full"
	if s, err := pgstore.Open(t.Context(), pgstore.Options{URL: u}); s != nil || err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("open with an unknown certificate: %v", err)
	}
	s := opened(t, pgstore.Options{URL: u + "&sslrootcert=" + cert})
	add(t, s, key, "over tls")
	if said := do(t, server.Database, `SELECT count(*) > 0 FROM pg_stat_ssl WHERE ssl`); said != "t" {
		t.Error("no connection is encrypted")
	}
	wrong := strings.Replace(u, "127.0.0.1", "localhost", 1)
	if s, err := pgstore.Open(t.Context(), pgstore.Options{URL: wrong + "&sslrootcert=" + cert}); s != nil || err == nil {
		t.Errorf("open of another host: %v", err)
	}
}

// certify gives a server a self-signed certificate of 127.0.0.1 and returns its path.
func certify(t *testing.T, server *pgserver.Server) string {
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
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(server.Dir, "data", name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		server.Give(t, path)
		return path
	}
	write("server.key", "PRIVATE KEY", pkcs8)
	return write("server.crt", "CERTIFICATE", der)
}
