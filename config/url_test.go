package config

import (
	"encoding"
	"fmt"
	"strings"
	"testing"
)

// A shown is a setting that shows a part of what it holds.
type shown interface {
	encoding.TextUnmarshaler
	fmt.Stringer
	Reveal() string
}

func TestURLs_take_their_forms_and_hide_what_is_secret(t *testing.T) {
	for _, c := range []struct {
		of          shown
		text, shown string
	}{
		{new(RedisURL), "", ""},
		{new(RedisURL), "redis://localhost:6379/1", "redis://localhost:6379/1"},
		{new(RedisURL), "rediss://u:hunter2@a,b?cluster=true", "rediss://***@a,b?cluster=true"},
		{new(ProxyURL), "", ""},
		{new(ProxyURL), "direct", "direct"},
		{new(ProxyURL), "http://proxy:3128", "http://proxy:3128"},
		{new(ProxyURL), "https://u:hunter2@proxy/", "https://***@proxy/"},
		{new(ProxyURL), "socks5://:hunter2@[::1]:1080", "socks5://***@[::1]:1080"},
		{new(WebhookURL), "", ""},
		{new(WebhookURL), "https://u:hunter2@hooks.example.com:444/hunter2?x=hunter2", "https://hooks.example.com:444/***"},
	} {
		if err := c.of.UnmarshalText([]byte(c.text)); err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		if c.of.Reveal() != c.text || c.of.String() != c.shown || strings.Contains(fmt.Sprintf("%v %+v %#v %x", c.of, c.of, c.of, c.of), "hunter2") {
			t.Errorf("%q is shown as %q, %#v", c.text, c.of, c.of)
		}
	}
}

func TestURLs_refuse_others_without_quoting_them(t *testing.T) {
	for _, c := range []struct {
		of   shown
		text string
	}{
		{new(RedisURL), "hunter2"}, {new(RedisURL), "http://hunter2"}, {new(RedisURL), "redis:hunter2"}, {new(RedisURL), "redis://a,hunter2"},
		{new(ProxyURL), "hunter2:3128"}, {new(ProxyURL), "http://"}, {new(ProxyURL), "http://h/hunter2"}, {new(ProxyURL), "http://h?hunter2"},
		{new(ProxyURL), "http://u:hun/ter2@h"}, {new(ProxyURL), "socks4://hunter2"}, {new(ProxyURL), "http://h:hunter2"}, {new(ProxyURL), "Direct"},
		{new(WebhookURL), "hunter2"}, {new(WebhookURL), "ftp://hunter2"}, {new(WebhookURL), "https:///hunter2"}, {new(WebhookURL), "http://h:hunter2"},
	} {
		if err := c.of.UnmarshalText([]byte(c.text)); err == nil || strings.Contains(err.Error(), "hun") || c.of.Reveal() != "" {
			t.Errorf("%q gives %v", c.text, err)
		}
	}
}
