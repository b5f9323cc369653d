package pgledger_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"mnemo/ledger"
	"mnemo/ledger/ledgertest"
	"mnemo/ledger/pgledger"
	"mnemo/memory/storetest/pgserver"
)

var everybody = ledger.Scope{AllTenants: true}

func entries(first, n int) []ledger.Entry {
	r, all := rand.New(rand.NewPCG(1, 1)), make([]ledger.Entry, n)
	for i := range all {
		all[i] = ledgertest.Entry(r, uint64(first+i))
	}
	return all
}

func wantCalls(t *testing.T, s *pgledger.Store, want int64) {
	t.Helper()
	if r, err := s.Usage(t.Context(), ledger.Query{Scope: everybody}); err != nil || r.Total.Calls != want {
		t.Fatalf("%d calls, want %d (%v)", r.Total.Calls, want, err)
	}
}

func TestOpen_refuses_what_is_no_url_without_repeating_it(t *testing.T) {
	for _, url := range []string{
		"", "127.0.0.1:5432", "mysql://u:s3cret@h/d", "postgres://u:s3c/ret@h/d", "postgres://u:s3cret@h:port/d", "postgres://u:s3cret@h/d#x",
		"postgres://u:s3cret@h/d?search_path=a,b", "postgres://u:s3cret@h/d?sslmode=perhaps", "postgres://u:s3cret@h/d?pool_max_conns=x",
	} {
		s, err := pgledger.Open(t.Context(), pgledger.Options{URL: url})
		if s != nil || !errors.Is(err, pgledger.ErrURL) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestOpen_says_why_the_server_cannot_be_used(t *testing.T) {
	server := pgserver.Fresh(t)
	app := server.Name + "_app"
	if _, err := server.Do(t.Context(), `CREATE ROLE `+app+` LOGIN PASSWORD 's3cret'`); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ url, want string }{
		{"postgres://" + app + ":wr0ng-s3cret@" + server.Addr + "/" + server.Name, "28P01"},
		{"postgres://" + app + ":s3cret@" + server.Addr + "/none", "3D000"},
		{"postgres://" + app + ":s3cret@" + server.Addr + "/" + server.Name, "create schema mnemo: "},
	} {
		s, err := pgledger.Open(t.Context(), pgledger.Options{URL: tt.url})
		if s != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %s", tt.url, err, tt.want)
		}
	}
}

func TestOpen_migrates_once_however_many_open(t *testing.T) {
	url := pgserver.Fresh(t).URL() + "search_path=elsewhere"
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			s, err := pgledger.Open(t.Context(), pgledger.Options{URL: url})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Append(t.Context(), entries(i*10, 10)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := opened(t, url)
	defer s.Close()
	wantCalls(t, s, 60)
}

func TestOpen_refuses_newer_tables(t *testing.T) {
	server := pgserver.Fresh(t)
	if err := opened(t, server.URL()).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Do(t.Context(), `INSERT INTO mnemo.ledger_migrations VALUES (2)`); err != nil {
		t.Fatal(err)
	}
	if s, err := pgledger.Open(t.Context(), pgledger.Options{URL: server.URL()}); s != nil || !errors.Is(err, pgledger.ErrNewer) {
		t.Errorf("%v", err)
	}
}

func TestStore_goes_on_when_the_server_comes_back(t *testing.T) {
	server := pgserver.Start(t)
	server.Kill()
	var log bytes.Buffer
	s, err := pgledger.Open(t.Context(), pgledger.Options{URL: server.URL(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Append(t.Context(), entries(0, 1)); err == nil || !strings.Contains(err.Error(), server.Addr) || !strings.Contains(log.String(), "cannot be reached") {
		t.Errorf("%v; the log says %s", err, log.String())
	}
	for n := 1; n < 3; n++ {
		server.Restart(t)
		if err := s.Append(t.Context(), entries(0, n*10)); err != nil {
			t.Fatal(err)
		}
		wantCalls(t, s, int64(n*10))
		server.Kill()
	}
}

func TestStore_works_without_prepared_statements(t *testing.T) {
	s := opened(t, pgserver.Fresh(t).URL()+"default_query_exec_mode=exec")
	defer s.Close()
	if err := s.Append(t.Context(), entries(0, 10)); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, s, 10)
	if found, err := s.Call(t.Context(), everybody, entries(0, 1)[0].ID); err != nil || len(found) == 0 {
		t.Errorf("%d calls, %v", len(found), err)
	}
}
