package upstream

import (
	"log/slog"
	"maps"
	"testing"
	"time"
)

func ring(keys ...Key) *keyring {
	return newKeyring(&Upstream{Name: "a", Keys: keys}, slog.New(slog.DiscardHandler))
}

func shares(r *keyring, n int, now time.Time) map[string]int {
	got := map[string]int{}
	for range n {
		if k, _ := r.pick("m", "", now); k != nil {
			got[k.label]++
		}
	}
	return got
}

func TestKeyring_shares_calls_out_by_weight(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		keys []Key
		want map[string]int
	}{
		"weights":            {[]Key{{Label: "a", Value: "1", Weight: 3}, {Label: "b", Value: "2", Weight: 2}, {Label: "c", Value: "3", Weight: 1}}, map[string]int{"a": 300, "b": 200, "c": 100}},
		"a key of weight 0":  {[]Key{{Label: "a", Value: "1", Weight: 1}, {Label: "b", Value: "2", Weight: 0}}, map[string]int{"a": 600}},
		"all of weight 0":    {[]Key{{Label: "a", Value: "1", Weight: 0}, {Label: "b", Value: "2", Weight: 0}}, map[string]int{"a": 300, "b": 300}},
		"one key of weigh 0": {[]Key{{Label: "a", Value: "1", Weight: 0}}, map[string]int{"a": 600}},
	} {
		if got := shares(ring(test.keys...), 600, now); !maps.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestKeyring_spreads_a_heavy_key_evenly(t *testing.T) {
	r := ring(Key{Label: "a", Value: "1", Weight: 5}, Key{Label: "b", Value: "2", Weight: 1}, Key{Label: "c", Value: "3", Weight: 1})
	order := ""
	for range 7 {
		k, _ := r.pick("m", "", time.Now())
		order += k.label
	}
	if order != "aabacaa" {
		t.Errorf("order %s", order)
	}
}

func TestKeyring_keeps_a_limited_key_out_exactly_as_long_as_it_was_told(t *testing.T) {
	now := time.Now()
	r := ring(Key{Label: "a", Value: "1", Weight: 1}, Key{Label: "b", Value: "2", Weight: 1})
	r.cool(r.keys[0], time.Minute, now)
	if got := shares(r, 10, now.Add(time.Minute-1)); got["a"] != 0 || got["b"] != 10 {
		t.Errorf("before its time: %v", got)
	}
	r.cool(r.keys[0], time.Second, now) // a shorter limit does not end a longer one
	if got := shares(r, 10, now.Add(time.Minute)); got["a"] == 0 {
		t.Errorf("after its time: %v", got)
	}
	r.cool(r.keys[0], time.Hour, now)
	r.cool(r.keys[1], 2*time.Hour, now)
	if k, wait := r.pick("m", "", now.Add(10*time.Minute)); k != nil || wait != 50*time.Minute {
		t.Errorf("picked %v, wait %v", k, wait)
	}
}

func TestKeyring_lengthens_cooldowns_that_nobody_named(t *testing.T) {
	now := time.Now()
	r := ring(Key{Label: "a", Value: "1", Weight: 1})
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		for range 5 { // calls that were under way together
			r.cool(r.keys[0], 0, now)
		}
		_, wait := r.pick("m", "", now)
		if wait != want*time.Second {
			t.Errorf("cooldown %v, want %vs", wait, int(want))
		}
		now = now.Add(wait)
	}
	r.good(r.keys[0], "m")
	r.cool(r.keys[0], 0, now)
	if _, wait := r.pick("m", "", now); wait != firstCooldown {
		t.Errorf("cooldown after a good answer %v", wait)
	}
}

func TestKeyring_probes_a_refused_key_with_one_call_at_a_time(t *testing.T) {
	now := time.Now()
	r := ring(Key{Label: "a", Value: "1", Weight: 1})
	r.refuse(r.keys[0], 401, "m", true, now)
	if k, wait := r.pick("other", "", now.Add(outFor-1)); k != nil || wait != 0 {
		t.Errorf("picked %v, wait %v", k, wait)
	}
	later := now.Add(outFor * 11 / 10)
	if got := shares(r, 10, later); got["a"] != 1 {
		t.Errorf("probed %d times at once", got["a"])
	}
	if got := shares(r, 10, later.Add(probeGap)); got["a"] != 1 {
		t.Errorf("a probe that came to nothing was followed by %d", got["a"])
	}
	r.good(r.keys[0], "m")
	if got := shares(r, 10, later.Add(probeGap)); got["a"] != 10 || r.keys[0].troubled.Load() {
		t.Errorf("the healed key was picked %d times", got["a"])
	}
}

func TestKeyring_keeps_a_forbidden_model_apart(t *testing.T) {
	now := time.Now()
	r := ring(Key{Label: "a", Value: "1", Weight: 1})
	r.refuse(r.keys[0], 403, "secret", false, now)
	if k, _ := r.pick("secret", "", now); k != nil {
		t.Error("picked for the forbidden model")
	}
	if k, _ := r.pick("m", "", now); k == nil {
		t.Error("not picked for another model")
	}
	r.good(r.keys[0], "m")
	if k, _ := r.pick("secret", "", now); k != nil {
		t.Error("a good answer for another model lifted the bar")
	}
}
