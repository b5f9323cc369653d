package redisclient_test

import (
	"errors"
	"strings"
	"testing"

	"mnemo/internal/redisclient"
)

func TestNew_refuses_a_bad_url_without_repeating_a_password(t *testing.T) {
	for _, u := range []string{
		"", "redis", "secret", ":secret", "localhost:6379", "http://:secret@h", "http://secret@h", "redis:/://secret@0", "redis://:secret",
		"redis://:sec\x7fret@h", "redis://:%zzsecret@h", "redis://%zz:secret@h", "redis://:a/secret@h", "redis://:a?secret@h", "redis://:a#secret@h",
		"redis://u:1/secret@h", "redis://u:1?secret@h", "redis://u:1#secret", "redis://u:1/0?client_name=secret@h", "unix://u:1/secret@h",
		"redis://u:secret@h:port", "redis://:secret@h/db", "redis://:secret@h/0/1", "redis://:secret@h?unknown=1", "redis://:secret@h?db=x",
		"redis://:secret@h?pool_size=x", "redis://:secret@h?pool_size=3000000000", "redis://:secret@h?pool_size=1&pool_size=2000000",
		"redis://:secret@h?read_timeout=5s;pool_size=2", "redis://:secret@h?read_timeout=%zz",
		"redis://:secret@h?cluster=perhaps", "redis://:secret@a,b", "redis://:secret@a,b?cluster=false", "redis://:secret@a,b/1?cluster=true",
		"redis://:secret@a,b:c:d?cluster=true", "redis://:secret@a,?cluster=true", "redis://:secret@a?cluster=true&addr=b",
		"redis://:secret@a,b?cluster=true&unknown=1", "redis://:secret@a?cluster=true&db=1", "rediss://:secret@a,b?cluster=true&skip_verify=true",
		"unix://:secret@?db=0", "unix://:secret@a,b?cluster=true",
	} {
		c, err := redisclient.New(u, redisclient.Options{})
		if c != nil || !errors.Is(err, redisclient.ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", u, err)
		}
	}
}

func TestNew_tells_where_a_url_leads(t *testing.T) {
	type place struct {
		hosts    string
		database int
		cluster  bool
	}
	for u, want := range map[string]place{
		"redis://":                                   {"localhost:6379", 0, false},
		"redis://user:secret@h":                      {"h:6379", 0, false},
		"redis://:p%2F%3F%23%40,@h:1/2":              {"h:1", 2, false},
		"rediss://h/?db=3&cluster=false":             {"h:6379", 3, false},
		"redis://[::1]":                              {"[::1]:6379", 0, false},
		"unix://:secret@/run/redis?db=4":             {"/run/redis", 4, false},
		"redis://h?cluster=true":                     {"h:6379", 0, true},
		"redis://user:secret@a,b:1,c/0?cluster=1":    {"a:6379,b:1,c:6379", 0, true},
		"redis://a?cluster=true&addr=b:1":            {"a:6379,b:1", 0, true},
		"redis://[::1],[::2],[::3]:1/?cluster=true":  {"[::1]:6379,[::2]:6379,[::3]:1", 0, true},
		"rediss://a,b:2?cluster=true&dialer_retries": {"a:6379,b:2", 0, true},
	} {
		c := open(t, u, redisclient.Options{})
		if got := (place{c.Hosts, c.Database, c.Cluster}); got != want {
			t.Errorf("%s leads to %+v, want %+v", u, got, want)
		}
	}
}

// What stands before the last @ may be a password, or a part of one that should have
// been escaped.
func FuzzNew_tells_nobody_a_password(f *testing.F) {
	for _, parts := range [][3]string{
		{"redis://u:", "", "h/0"}, {"redis://", ":x", "a,b?cluster=true"}, {"unix://:1/", "", "h"}, {"redis://h/0?db=", "", ""},
		{"redis:/://", "", "0"}, {"redis://:a#", "@", ""}, {"redis://h?cluster=", "", "h"}, {"redis://[::1%25", "]", "h"}, {"redis://a,", ":1:2", "b?cluster=true"},
	} {
		f.Add(parts[0], parts[1], parts[2])
	}
	const secret = "5ecret"
	f.Fuzz(func(t *testing.T, before, after, end string) {
		if strings.Contains(end, secret) || strings.Contains(end, "min_idle_conns") {
			return
		}
		c, err := redisclient.New(before+secret+after+"@"+end, redisclient.Options{})
		if err == nil {
			defer c.Close()
			if strings.Contains(c.Hosts, secret) {
				t.Errorf("the host is %s", c.Hosts)
			}
		} else if !errors.Is(err, redisclient.ErrURL) || strings.Contains(err.Error(), secret) {
			t.Error(err)
		}
	})
}
