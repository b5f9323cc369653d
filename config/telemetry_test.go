package config

import (
	"encoding/json"
	"testing"
)

func TestPattern_is_compiled_and_shown_as_it_was_written(t *testing.T) {
	read := func() *Config {
		return load(t, Sources{ReadFile: only(DefaultFile, "telemetry: {content: true, redact: ['sk-\\w+', '(?i)iban']}")})
	}
	cfg := read()
	if got := cfg.Telemetry.Redact[0].ReplaceAllString("key sk-123.", "…"); got != "key …." {
		t.Errorf("got %s", got)
	}
	if got := setting(t, cfg, "telemetry.redact[1]").Value; got != "(?i)iban" {
		t.Errorf("shown as %s", got)
	}
	if got := cfg.Changes(read()); len(got) != 0 {
		t.Errorf("changed though they are the same: %q", got)
	}
	text, err := json.Marshal([]Pattern{cfg.Telemetry.Redact[0], {}})
	if err != nil || string(text) != `["sk-\\w+",""]` {
		t.Errorf("got %s, %v", text, err)
	}
}
