// Package upstream calls the model APIs behind mnemo.
//
// A router orders the candidates of a call; the pipeline of keys, breakers,
// attempts and classification acts on that order and is the same under every
// order. Bodies travel as they are, in both directions.
package upstream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Defaults of the settings that are zero.
const (
	DefaultConnect      = 5 * time.Second
	DefaultHeaders      = 5 * time.Minute
	DefaultStreamIdle   = 2 * time.Minute
	DefaultTotal        = 30 * time.Minute
	DefaultRetryBase    = 200 * time.Millisecond
	DefaultRetryMax     = 5 * time.Second
	DefaultRetryRatio   = 1.2
	DefaultWindow       = 30 * time.Second
	DefaultMinCalls     = 50
	DefaultFailureRatio = 0.8
	DefaultConsecutive  = 20
	DefaultOpen         = 10 * time.Second
	DefaultOpenMax      = 30 * time.Second
	DefaultQueueLength  = 100
	DefaultQueueWait    = 10 * time.Second
)

// Options configures a Pool.
type Options struct {
	Upstreams []Upstream    // at least one; the first is the default
	Routes    []Route       // first match wins; no match: the first upstream, model unchanged
	Retry     Retry         // off when zero
	Breaker   Breaker       // zero fields mean the defaults
	OpenMax   time.Duration // the longest that a breaker is open at a time, and so the latest that recovery is seen; 0: DefaultOpenMax
	// Board shares what breakers find with other replicas; nil: nobody hears of it.
	Board Board
	// HedgeAfter is when the next candidate of a stream is started beside one that
	// has not spoken; 0: never. Nothing is cut short: who speaks first is heard.
	HedgeAfter time.Duration
	// Resume has the next candidate go on with a chat stream that breaks, as if
	// nothing had happened: where it has Prefill with what was delivered, otherwise
	// afresh, and what was delivered is left out if it comes again word for word.
	// Whole events alone are passed on then. If nobody can go on, the body fails with
	// what broke it.
	Resume    bool
	Tokens    func(model, text string) int // counts what a broken stream delivered; nil: a quarter of its bytes
	Log       *slog.Logger                 // nil: nothing is logged
	Now       func() time.Time             // the clock of cooldowns and HTTP dates; nil: time.Now
	OnAttempt func(Attempt)                // called once per attempt, when its head arrived or it failed; nil: nobody listens
}

// An Upstream is one model API.
type Upstream struct {
	Name     string            // its label, unique
	URL      string            // the base that targets are appended to, such as https://api.openai.com/v1
	Keys     []Key             // replace the client's credential; none: the client's own goes up
	Headers  map[string]string // set on every call; "Host" replaces the host name
	Timeouts Timeouts          // zero fields mean the defaults
	// RootCAs are the authorities whose certificates are believed; nil: the system's.
	RootCAs *x509.CertPool
	// Proxy tells the proxy to call through, nil for none. It is asked once, with a
	// request that has the base URL alone. nil: the environment's (HTTPS_PROXY,
	// HTTP_PROXY, NO_PROXY).
	Proxy func(*http.Request) (*url.URL, error) `json:"-"`
	// Retry, Breaker and OpenMax go before those of the Options, whole: zero fields
	// mean the defaults. nil and 0: those of the Options. A call makes as many further
	// attempts as the most patient of its candidates allows; one that allows fewer is
	// not tried again after these.
	Retry   *Retry
	Breaker *Breaker
	OpenMax time.Duration
	// KeyPolicy is one of the policies; "": Weighted.
	KeyPolicy KeyPolicy
	// MaxInFlight bounds the calls under way, MaxInFlightPerKey those of each key of
	// the pool; 0: not. Calls beyond wait in the Queue, then go to the next candidate.
	MaxInFlight, MaxInFlightPerKey int
	Queue                          Queue
	// NoSticky gives each call any key, whatever its Request.Sticky.
	NoSticky bool
	// NoStreamOptions says that the upstream rejects stream_options.
	NoStreamOptions bool
	// PromptCacheKey says that the upstream takes prompt_cache_key, see
	// Request.CacheKey.
	PromptCacheKey bool
	// ReplayReasoning says that the upstream takes the reasoning of earlier turns in
	// their messages.
	ReplayReasoning bool
	// Prefill says that the upstream continues an assistant message that ends the
	// request's messages.
	Prefill bool
}

// A Key is an API key of a pool. It prints as its label.
type Key struct {
	Label  string // what it is called in logs, headers and metrics; unique in its upstream
	Value  string // the secret
	Weight int    // its share of the calls; 0: none, unless every key of the upstream has 0

	Since       time.Time     // when it was made; zero: unknown
	RotateAfter time.Duration // after Since it is due to be replaced: it is used on, with a warning; 0: never
}

// Format prints the label, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.Label) }

// MarshalText returns the label.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.Label), nil }

// Timeouts are the limits of a call. Zero means the default, negative no limit.
type Timeouts struct {
	Connect time.Duration // to a usable connection: dialling and the TLS handshake each
	Headers time.Duration // from the attempt's start, for a streamed body from its end, to the answer's head
	// FirstToken is the time from an attempt's start to the first content of a stream,
	// role-only events not counted. It applies only while there is another candidate
	// that can be tried: nobody is cut off for thinking. Zero means no limit, too.
	FirstToken time.Duration
	StreamIdle time.Duration // without a byte of the answer's body while somebody waits for one
	Total      time.Duration // of a whole call, with every attempt and the answer's body
}

// Retry says how failed attempts are repeated.
type Retry struct {
	Attempts int           // further attempts after a failed one; 0: none
	Base     time.Duration // the first pause is a random part of it; the bound doubles with every attempt
	Max      time.Duration // the longest pause; a cooldown that ends later is not waited for
	Within   time.Duration // no attempt begins later in a call; 0: only the upstream's Total bounds it
	Ratio    float64       // further attempts of an upstream for each call that reaches it, beyond a few; 0: DefaultRetryRatio, negative: any
}

// Breaker says when an upstream is left alone for a model. It opens when a
// window of at least MinCalls has FailureRatio failures, or after Consecutive
// failures in a row.
type Breaker struct {
	Window       time.Duration
	MinCalls     int
	FailureRatio float64
	Consecutive  int
	Open         time.Duration // until it is probed, one call at a time; doubled by each probe that fails, up to OpenMax
}

// Private

func (o *Options) check() error {
	if len(o.Upstreams) == 0 {
		return errors.New("upstreams: at least one is needed")
	}
	var errs []error
	names := map[string]bool{}
	for i := range o.Upstreams {
		u := &o.Upstreams[i]
		if u.Name == "" || names[u.Name] {
			errs = append(errs, fmt.Errorf("upstream %d: name %q is empty or used twice", i, u.Name))
		}
		names[u.Name] = true
		errs = append(errs, u.check())
	}
	return errors.Join(errs...)
}

func (u *Upstream) check() error {
	errs := []error{checkKeys(u.Name, u.Keys)}
	if !u.KeyPolicy.known() {
		errs = append(errs, fmt.Errorf("upstream %q: there is no key policy %q", u.Name, u.KeyPolicy))
	}
	for name, value := range u.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			errs = append(errs, fmt.Errorf("upstream %q: header %q cannot be sent", u.Name, name))
		}
	}
	return errors.Join(errs...)
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Connect:    limit(t.Connect, DefaultConnect),
		Headers:    limit(t.Headers, DefaultHeaders),
		FirstToken: max(t.FirstToken, 0),
		StreamIdle: limit(t.StreamIdle, DefaultStreamIdle),
		Total:      limit(t.Total, DefaultTotal),
	}
}

func (r Retry) withDefaults() Retry {
	if r.Ratio == 0 {
		r.Ratio = DefaultRetryRatio
	}
	return Retry{
		Attempts: max(r.Attempts, 0),
		Base:     orDefault(r.Base, DefaultRetryBase),
		Max:      orDefault(r.Max, DefaultRetryMax),
		Within:   max(r.Within, 0),
		Ratio:    r.Ratio,
	}
}

func (b Breaker) withDefaults() Breaker {
	return Breaker{
		Window:       orDefault(b.Window, DefaultWindow),
		MinCalls:     orDefault(b.MinCalls, DefaultMinCalls),
		FailureRatio: orDefault(b.FailureRatio, DefaultFailureRatio),
		Consecutive:  orDefault(b.Consecutive, DefaultConsecutive),
		Open:         orDefault(b.Open, DefaultOpen),
	}
}

// limit returns 0 for a limit that is switched off.
func limit(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return max(d, 0)
}

func orDefault[T int | float64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// headerValues prepares headers so that setting one is a map assignment.
func headerValues(headers map[string]string) (values map[string][]string, host string) {
	values = make(map[string][]string, len(headers))
	for name, value := range headers {
		if name = http.CanonicalHeaderKey(name); name == "Host" {
			host = value
			continue
		}
		values[name] = []string{value}
	}
	return values, host
}
