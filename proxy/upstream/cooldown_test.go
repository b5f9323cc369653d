package upstream

import (
	"net/http"
	"testing"
	"time"
)

func TestCooldown_is_what_the_headers_say(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"nothing":                       {nil, 0},
		"milliseconds":                  {map[string]string{"retry-after-ms": "1500"}, 1500 * time.Millisecond},
		"milliseconds before seconds":   {map[string]string{"retry-after-ms": "20", "retry-after": "9"}, 20 * time.Millisecond},
		"bad milliseconds":              {map[string]string{"retry-after-ms": "soon", "retry-after": "9"}, 9 * time.Second},
		"seconds":                       {map[string]string{"retry-after": "2"}, 2 * time.Second},
		"half seconds":                  {map[string]string{"retry-after": "0.5"}, 500 * time.Millisecond},
		"hours":                         {map[string]string{"retry-after": "7200"}, 2 * time.Hour},
		"beyond belief":                 {map[string]string{"retry-after": "1e300"}, maxCooldown},
		"not a number":                  {map[string]string{"retry-after": "NaN"}, 0},
		"negative":                      {map[string]string{"retry-after": "-4"}, 0},
		"date":                          {map[string]string{"retry-after": "Sun, 01 Mar 2026 12:00:07 GMT"}, 7 * time.Second},
		"past date":                     {map[string]string{"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0},
		"reset of requests":             {map[string]string{"x-ratelimit-reset-requests": "6m0s"}, 6 * time.Minute},
		"reset of tokens":               {map[string]string{"x-ratelimit-reset-tokens": "20ms"}, 20 * time.Millisecond},
		"reset in plain seconds":        {map[string]string{"x-ratelimit-reset-tokens": "3"}, 3 * time.Second},
		"the later reset":               {map[string]string{"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "4s"}, 4 * time.Second},
		"the reset of what is used up":  {map[string]string{"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "4s", "x-ratelimit-remaining-tokens": "9"}, time.Second},
		"the later, both being used up": {map[string]string{"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "4s", "x-ratelimit-remaining-tokens": "0"}, 4 * time.Second},
		"Retry-After before any reset":  {map[string]string{"retry-after": "1", "x-ratelimit-reset-requests": "1m"}, time.Second},
		"a reset that is no time":       {map[string]string{"x-ratelimit-reset-requests": "later"}, 0},
	} {
		h := http.Header{}
		for k, v := range test.header {
			h.Set(k, v)
		}
		if got := cooldown(h, now); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
