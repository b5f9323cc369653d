package upstream

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstCooldown = time.Second      // of a 429 that names no time; doubled by each further one
	lastCooldown  = time.Minute      // where doubling ends
	maxCooldown   = 24 * time.Hour   // the longest that a header is believed
	outFor        = 5 * time.Minute  // how long a refused key is left alone; doubled by each probe that is refused
	longestOut    = 2 * time.Hour    // where doubling ends
	probeGap      = 30 * time.Second // until a refused key is tried again if a probe came to nothing
	firstInstant  = 1e9              // seconds; a smaller number is a duration
)

// Private

// retryAfter reads how long an answer asks to wait: retry-after-ms, else
// Retry-After in seconds or as a date (RFC 9110 §10.2.3); 0 if it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if v := h["Retry-After-Ms"]; len(v) > 0 {
		if ms, err := strconv.ParseFloat(v[0], 64); err == nil {
			return scaled(ms, time.Millisecond)
		}
	}
	v := h["Retry-After"]
	if len(v) == 0 {
		return 0
	}
	if s, err := strconv.ParseFloat(v[0], 64); err == nil {
		return scaled(s, time.Second)
	}
	if at, err := http.ParseTime(v[0]); err == nil {
		return min(max(at.Sub(now), 0), maxCooldown)
	}
	return 0
}

// cooldown is how long the key of a 429 must rest: what Retry-After says, else
// the reset of the limit that is used up, else 0.
func cooldown(h http.Header, now time.Time) time.Duration {
	if d := retryAfter(h, now); d > 0 {
		return d
	}
	requests, tokens := resetOf(h, "Requests", now), resetOf(h, "Tokens", now)
	switch {
	case usedUp(h, "Requests") && !usedUp(h, "Tokens"):
		return requests
	case usedUp(h, "Tokens") && !usedUp(h, "Requests"):
		return tokens
	}
	return max(requests, tokens)
}

func usedUp(h http.Header, what string) bool {
	v := h["X-Ratelimit-Remaining-"+what]
	return len(v) > 0 && v[0] == "0"
}

// resetOf reads a time such as "6m0s", "20ms", a number of seconds, an instant
// as RFC 3339 writes it, or Unix seconds.
func resetOf(h http.Header, what string, now time.Time) time.Duration {
	v := h["X-Ratelimit-Reset-"+what]
	if len(v) == 0 {
		return 0
	}
	if d, err := time.ParseDuration(v[0]); err == nil {
		return min(max(d, 0), maxCooldown)
	}
	if s, err := strconv.ParseFloat(v[0], 64); err == nil {
		if s >= firstInstant {
			s -= float64(now.UnixMilli()) / 1000
		}
		return scaled(s, time.Second)
	}
	if at, err := time.Parse(time.RFC3339, v[0]); err == nil {
		return min(max(at.Sub(now), 0), maxCooldown)
	}
	return 0
}

// outTime is how long a refused key is left alone after so many refused probes.
func outTime(probes int) time.Duration {
	d := min(outFor<<min(probes, 10), longestOut)
	return d + rand.N(d/10)
}

// scaled multiplies within 0 and maxCooldown; NaN becomes 0.
func scaled(n float64, unit time.Duration) time.Duration {
	switch {
	case !(n > 0):
		return 0
	case n >= float64(maxCooldown/unit):
		return maxCooldown
	}
	return time.Duration(n * float64(unit))
}
