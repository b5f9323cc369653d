package upstream

import (
	"net/http"
	"strings"
	"testing"
)

// background is a call that nobody waits for.
func background(model string) *Request {
	r := chat(model)
	r.Background = true
	return r
}

func TestBackground_calls_that_fail_are_made_once_and_are_no_news_for_others(t *testing.T) {
	for name, fail := range map[string]func(w http.ResponseWriter){
		"server error":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"bad key":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
		"nothing to pay": func(w http.ResponseWriter) { w.WriteHeader(http.StatusPaymentRequired) },
		"rate limit": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"broken body": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("half"))
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Background") != "" {
					fail(w)
				}
			})
			p := newPool(t, Options{
				Upstreams: []Upstream{{Name: "a", URL: up.URL, Keys: []Key{{Label: "k", Value: "sk", Weight: 1}}}},
				Retry:     retries, Breaker: Breaker{Consecutive: 3, MinCalls: 3, FailureRatio: 0.1},
			})
			const calls = 10
			for range calls {
				r := background("m")
				r.Header = http.Header{"X-Background": {"yes"}}
				answer, err := p.Do(t.Context(), r)
				if err == nil {
					answer.Finish(Cut)
				}
			}
			if n := len(up.seen()); n != calls {
				t.Errorf("%d attempts for %d calls", n, calls)
			}
			if code, _, answer := p.call(t, chat("m")); code != 200 || answer.Attempts != 1 {
				t.Errorf("the next call of a client is answered with %d after %d attempts", code, answer.Attempts)
			}
		})
	}
}
