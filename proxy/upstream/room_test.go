package upstream

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestRoom_is_what_the_tighter_limit_leaves(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		header   map[string]string
		inFlight float64
		later    time.Duration
		want     float64
	}{
		"nothing known":         {nil, 3, 0, 1},
		"requests":              {map[string]string{"remaining-requests": "25", "limit-requests": "100"}, 0, 0, 0.25},
		"tokens are tighter":    {map[string]string{"remaining-requests": "25", "limit-requests": "100", "remaining-tokens": "10", "limit-tokens": "1000"}, 0, 0, 0.01},
		"calls under way":       {map[string]string{"remaining-requests": "25", "limit-requests": "100"}, 5, 0, 0.2},
		"half way to the reset": {map[string]string{"remaining-requests": "20", "limit-requests": "100", "reset-requests": "60s"}, 0, 30 * time.Second, 0.6},
		"after the reset":       {map[string]string{"remaining-requests": "20", "limit-requests": "100", "reset-requests": "60s"}, 0, time.Hour, 1},
		"without a limit":       {map[string]string{"remaining-requests": "20"}, 0, 0, 1},
		"no number":             {map[string]string{"remaining-requests": "many", "remaining-tokens": "NaN"}, 0, 0, 1},
		"beyond any number":     {map[string]string{"remaining-requests": "Inf", "limit-requests": "-4"}, 0, 0, 1},
	} {
		h := http.Header{}
		for k, v := range test.header {
			h.Set("x-ratelimit-"+k, v)
		}
		var r room
		r.learn(h, now)
		if got := r.left(test.inFlight, now.Add(test.later)); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestRoom_measures_a_limit_that_is_not_named_by_the_most_it_left(t *testing.T) {
	now := time.Now()
	var r room
	for _, left := range []string{"100", "40"} {
		r.learn(http.Header{"X-Ratelimit-Remaining-Requests": {left}}, now)
	}
	if got := r.left(0, now); got != 0.4 {
		t.Errorf("left %v, want 0.4", got)
	}
}
