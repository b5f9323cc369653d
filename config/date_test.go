package config

import (
	"testing"
	"time"
)

func TestDate_is_the_beginning_of_a_day_in_UTC(t *testing.T) {
	cfg := load(t, Sources{ReadFile: only(DefaultFile, "upstreams: [{name: a, url: http://h, rotate_after: 90d, keys: [{value: k, since: 2026-01-31}, {value: l, since: ''}]}]")})
	u := cfg.Upstreams[0]
	if !u.Keys[0].Since.Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) || !u.Keys[1].Since.IsZero() || u.RotateAfter != 2160*time.Hour {
		t.Errorf("got %+v", u)
	}
	if got := setting(t, cfg, "upstreams[0].keys[0].since").Value + setting(t, cfg, "upstreams[0].keys[1].since").Value; got != "2026-01-31" {
		t.Errorf("shown as %s", got)
	}
	for _, text := range []string{"31.01.2026", "2026-02-30", "2026-1-31", "2026-01-31T00:00:00Z"} {
		if err := new(Date).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
