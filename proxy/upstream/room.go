package upstream

import (
	"net/http"
	"strconv"
	"time"
)

// Private

// A room is what the limits of a key leave of its requests and tokens.
type room struct {
	requests, tokens allowance
}

// An allowance is one limit as the last answer told it.
type allowance struct {
	left, top float64 // top 0: unknown
	at        time.Time
	reset     time.Duration // after at, until all of it is back; 0: unknown
}

// learn reads the x-ratelimit headers of an answer.
func (r *room) learn(h http.Header, now time.Time) {
	r.requests.learn(h, "Requests", now)
	r.tokens.learn(h, "Tokens", now)
}

// left is the share of the tighter limit that further calls find, with so many
// under way. It is 1 while nothing is known.
func (r *room) left(inFlight float64, now time.Time) float64 {
	return min(r.requests.share(inFlight, now), r.tokens.share(0, now))
}

func (a *allowance) learn(h http.Header, what string, now time.Time) {
	left, ok := amount(h, "X-Ratelimit-Remaining-"+what)
	if !ok {
		return
	}
	if top, ok := amount(h, "X-Ratelimit-Limit-"+what); ok {
		a.top = top
	}
	a.left, a.top = left, max(a.top, left)
	a.at, a.reset = now, resetOf(h, what, now)
}

// share refills at a steady pace until the reset, as the providers' buckets do.
func (a *allowance) share(inFlight float64, now time.Time) float64 {
	if a.top <= 0 {
		return 1
	}
	left := a.left
	if a.reset > 0 {
		left += (a.top - left) * min(1, float64(now.Sub(a.at))/float64(a.reset))
	}
	return (left - inFlight) / a.top
}

func amount(h http.Header, name string) (float64, bool) {
	v := h[name]
	if len(v) == 0 {
		return 0, false
	}
	n, err := strconv.ParseFloat(v[0], 64)
	return n, err == nil && n >= 0 && n < 1e15 // NaN is neither
}
