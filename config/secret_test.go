package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecret_is_hidden_however_it_is_shown(t *testing.T) {
	cfg := load(t, Sources{
		Environ: []string{"MNEMO_UPSTREAM_KEYS=hunter2", "MNEMO_STORE=redis://user:hunter2@h/0?cluster=true&password=hunter2"},
		ReadFile: only(DefaultFile, "upstreams: [{name: a, url: http://h, headers: {X-Key: hunter2}, proxy: 'http://u:hunter2@p'}]\n"+
			"alerts: {url: 'https://h/hunter2', secret: hunter2}\nbreaker: {share: 'redis://:hunter2@h'}\nanswer_cache: {url: 'redis://:hunter2@h'}\n"+
			"auth: {keys: ["+appKey+"]}"),
	})
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&shown, verb+"\n", cfg)
		fmt.Fprintf(&shown, verb+"\n", cfg.Upstreams[0].Keys[0].Value)
		fmt.Fprintf(&shown, verb+"\n", cfg.Store.URL)
		fmt.Fprintf(&shown, verb+"\n", &cfg.Store.URL)
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&shown, nil)), slog.New(slog.NewJSONHandler(&shown, nil))} {
		log.Info("x", "config", cfg, "key", cfg.Upstreams[0].Keys[0].Value, "store", cfg.Store.URL, "headers", cfg.Upstreams[0].Headers)
	}
	fmt.Fprintln(&shown, cfg.Settings())
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), digits} {
		if strings.Contains(shown.String(), leak) {
			t.Errorf("%s is shown in\n%s", leak, shown.String())
		}
	}
	if !strings.Contains(shown.String(), "***") {
		t.Errorf("nothing is shown in place of a secret:\n%s", shown.String())
	}
}

func TestSecret_that_is_none_shows_that(t *testing.T) {
	if s := (Secret{}); s.String() != "" || s.Reveal() != "" {
		t.Errorf("shown as %s", s)
	}
}

func TestSecret_reveals_itself_when_asked(t *testing.T) {
	var s Secret
	if err := s.UnmarshalText([]byte("hunter2")); err != nil || s.Reveal() != "hunter2" {
		t.Errorf("got %q, %v", s.Reveal(), err)
	}
}

func TestHash_reads_sha256_in_hex_only(t *testing.T) {
	var h Hash
	if err := h.UnmarshalText([]byte(sum)); err != nil || fmt.Sprintf("%x", h[:]) != digits {
		t.Errorf("got %x, %v", h[:], err)
	}
	for _, text := range []string{"", digits, "sha256:", sum[:70], sum + "00", "sha512:" + digits, "sha256:" + strings.Repeat("g", 64)} {
		if err := new(Hash).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
