package config

import (
	"testing"
	"time"
)

func TestDuration_is_shown_without_zero_units(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m", 250 * time.Millisecond: "250ms", 10 * time.Hour: "10h", 24 * time.Hour: "1d", 90 * day: "90d", 36 * time.Hour: "36h",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}

func TestDuration_may_be_in_days(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 2160 * time.Hour, "0d": 0, "1d12h30m": 36*time.Hour + 30*time.Minute, "2160h": 90 * day, "65535d": 65535 * day,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s gives %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"d", "-1d", "+1d", "1.5d", "65536d", "1d24h", "1d-1h", "1d+1h", "1d1", "1dd", "1h1d", "d1h"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%s gives %v", text, got)
		}
	}
}

func TestTags_hold_bounds_that_the_defaults_keep(t *testing.T) {
	for key, f := range fields(defaults()) {
		if !inRange(f.Value, f.tag.Get("range")) {
			t.Errorf("%s: default %s is not %s", key, f, f.tag.Get("range"))
		}
	}
}
