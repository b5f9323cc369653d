package pgstore_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"mnemo/memory/pgstore"
	"mnemo/memory/storetest/pgserver"
)

func TestOpen_takes_every_kind_of_url(t *testing.T) {
	server := pgserver.Start(t)
	const password = "p@ss/w#rd?%"
	if _, err := server.Do(t.Context(), "CREATE ROLE app LOGIN PASSWORD '"+password+"'; GRANT CREATE ON DATABASE postgres TO app"); err != nil {
		t.Fatal(err)
	}
	user := url.UserPassword("app", password).String() + "@"
	host, port, _ := strings.Cut(server.Addr, ":")
	for _, u := range []string{
		"postgres://" + user + server.Addr + "/postgres",
		"postgresql://" + user + server.Addr + "/postgres?sslmode=disable&pool_max_conns=2&connect_timeout=5&application_name=mnemo",
		"postgres://app@" + server.Addr + "/postgres?password=" + url.QueryEscape(password),
		"postgres://" + user + pgserver.FreeAddr(t) + "," + server.Addr + "/postgres",
		"postgres:///postgres?user=app&port=" + port + "&host=" + url.QueryEscape(server.Dir),
		"postgres://" + user + host + ":" + port + "/postgres?default_query_exec_mode=simple_protocol",
		"postgres://" + user + server.Addr + "/postgres?default_query_exec_mode=exec&synchronous_commit=off",
	} {
		s := opened(t, pgstore.Options{URL: u, CacheBytes: -1})
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		add(t, s, key, "asked")
		wantQuestions(t, s, key, "asked")
		if got, err := s.Load(t.Context(), key, need); err != nil || len(got.Turns) != 1 {
			t.Errorf("%s: %d turns, %v", u, len(got.Turns), err)
		}
	}
}

func TestStore_keeps_installations_in_other_schemas_apart(t *testing.T) {
	server := pgserver.Fresh(t)
	plain := opened(t, pgstore.Options{URL: server.URL()})
	add(t, plain, key, "of mnemo")
	for _, schema := range []string{"other", "Other", "user", "_1"} {
		s := opened(t, pgstore.Options{URL: server.URL() + "search_path=" + schema})
		wantQuestions(t, s, key)
		add(t, s, key, "of "+schema)
		wantQuestions(t, s, key, "of "+schema)
	}
	wantQuestions(t, plain, key, "of mnemo")
	if said, err := server.Do(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`); err != nil || said != "0" {
		t.Errorf("public has %s tables, %v", said, err)
	}
}

func TestOpen_refuses_a_bad_url_without_repeating_a_password(t *testing.T) {
	for _, u := range []string{
		"", "postgres", "secret", ":secret", "mysql://u:secret@h/d", "host=h password=secret", "postgres://u:sec\x7fret@h",
		"postgres://u:%zzsecret@h", "postgres://u:a/secret@h/d", "postgres://u:a?secret@h/d", "postgres://u:a#secret@h/d",
		"postgres://u:1/secret@h/d", "postgres://u:1?secret@h/d", "postgres://u:1#secret", "postgres://u:secret@h:port/d",
		"postgres://u:secret@h:99999/d", "postgres://u:secret@h:1,h:port/d", "postgres://u:secret@h/d?sslmode=secret", "postgres://u:secret@h/d?%zz",
		"postgres://u:secret@h/d?pool_max_conns=0", "postgres://u:secret@h/d?pool_max_conns=many", "postgres://u:secret@h/d?connect_timeout=secret",
		"postgres://u@h/d?password=secret&sslmode=secret", "postgres://u:secret@h/d?default_query_exec_mode=secret",
		"postgres://u:secret@h/d?search_path=", "postgres://u:secret@h/d?search_path=a,b", "postgres://u:secret@h/d?search_path=a.b",
		"postgres://u:secret@h/d?search_path=%22", "postgres://u:secret@h/d?search_path=$body$", "postgres://u:secret@h/d?search_path=" + strings.Repeat("a", 64),
		"postgres://u:secret@h/d?sslrootcert=/no/such/file&sslmode=verify-full", "postgres://u:secret@h/d?target_session_attrs=secret",
	} {
		s, err := pgstore.Open(t.Context(), pgstore.Options{URL: u})
		if s != nil || !errors.Is(err, pgstore.ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", u, err)
		}
		var hidden interface{ Unwrap() error }
		if errors.As(err, &hidden); hidden != nil && strings.Contains(hidden.Unwrap().Error(), "secret") {
			t.Errorf("%q: %v", u, hidden.Unwrap())
		}
	}
}
