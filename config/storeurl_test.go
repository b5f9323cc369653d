package config

import (
	"strings"
	"testing"
)

func TestStoreURL_takes_its_forms_and_hides_what_is_secret(t *testing.T) {
	for text, shown := range map[string]string{
		"sqlite:mnemo.db":                         "sqlite:mnemo.db",
		"sqlite:/var/lib/mnemo/mnemo.db":          "sqlite:/var/lib/mnemo/mnemo.db",
		"sqlite::memory:":                         "sqlite::memory:",
		"redis://localhost":                       "redis://localhost",
		"redis://localhost:6379/3":                "redis://localhost:6379/3",
		"rediss://user:hunter2@h:6380":            "rediss://***@h:6380",
		"redis://:hunter2@[::1]:6379/0":           "redis://***@[::1]:6379/0",
		"redis://:hunt@er2@h":                     "redis://***@h",
		"redis://a,b:7001,c?cluster=true":         "redis://a,b:7001,c?cluster=true",
		"redis://u:p@a,b?cluster=true&password=x": "redis://***@a,b?cluster=true&password=***",
		"redis://h?read_timeout=1s":               "redis://h?read_timeout=***",
		"postgres://u:hunter2@h:5432/db":          "postgres://***@h:5432/db",
		"postgresql://a,b/db?sslmode=disable":     "postgresql://a,b/db?sslmode=***",
		"postgres:///db?host=/run/postgresql":     "postgres:///db?host=***",
	} {
		var u StoreURL
		if err := u.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		scheme, _, _ := strings.Cut(text, ":")
		if u.Reveal() != text || u.String() != shown || u.Scheme() != scheme {
			t.Errorf("%s is shown as %s with scheme %s, want %s", text, u, u.Scheme(), shown)
		}
	}
}

func TestStoreURL_has_a_path_for_SQLite_only(t *testing.T) {
	for text, want := range map[string]string{"sqlite:a/b.db": "a/b.db", "redis://h": ""} {
		if got := (StoreURL{public(text)}).SQLitePath(); got != want {
			t.Errorf("%s gives %q, want %q", text, got, want)
		}
	}
}

func TestStoreURL_refuses_others_without_quoting_them(t *testing.T) {
	for _, text := range []string{
		"", "hunter2.db", "sqlite:", "mysql://u:hunter2@h/db", "postgres:hunter2", "postgres://u:hun/ter2@h", "postgres://u:hunter2#@h/db", "postgres://h:hunter2/db", "redis:hunter2", "redis://", "redis://:hunter2@",
		"redis://:hun/ter2@h", "redis://:hunter2#@h", "redis://h:hunter2", "redis://h/hunter2", "redis://h/-1",
		"redis://a,b", "redis://a,,b?cluster=true", "redis://a,b?cluster=hunter2", "redis://h?%zzhunter2", "REDIS://h",
	} {
		u := StoreURL{public("before")}
		err := u.UnmarshalText([]byte(text))
		if err == nil || strings.Contains(err.Error(), "hun") || u.Reveal() != "before" {
			t.Errorf("%q gives %v", text, err)
		}
	}
}
