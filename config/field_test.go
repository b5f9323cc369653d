package config

import (
	"testing"
	"time"
)

func TestDuration_is_shown_without_zero_units(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 100 * time.Minute: "1h40m", 250 * time.Millisecond: "250ms", 10 * time.Hour: "10h",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
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
