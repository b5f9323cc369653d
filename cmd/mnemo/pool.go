package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mnemo/config"
	"mnemo/memory/tokens"
	"mnemo/proxy"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// Private

// poolOptions are what the configuration says of upstreams. The board may be nil.
func poolOptions(c *config.Config, t *telemetry.Telemetry, board upstream.Board) (upstream.Options, error) {
	o := upstream.Options{
		Retry:      retry(&c.Retry),
		Breaker:    breaker(&c.Breaker.Breaker),
		OpenMax:    c.Breaker.OpenMax,
		HedgeAfter: c.HedgeAfter,
		Resume:     c.OnStreamBreak == config.OnStreamBreakResume,
		Tokens:     func(model, text string) int { return tokens.For(model).Count(text) },
		Board:      board,
		Log:        t.Logger(),
		OnAttempt: func(a upstream.Attempt) {
			t.Attempt(context.Background(), a.Upstream, a.Outcome, a.Status)
		},
	}
	for i := range c.Upstreams {
		u, err := upstreamOptions(&c.Upstreams[i])
		if err != nil {
			return upstream.Options{}, fmt.Errorf("upstreams[%d]: %w", i, err)
		}
		o.Upstreams = append(o.Upstreams, u)
	}
	for _, r := range c.Routes {
		o.Routes = append(o.Routes, upstream.Route{Model: r.Model, To: candidates(r.To), Degrade: candidates(r.Degrade)})
	}
	return o, nil
}

func candidates(targets []config.Target) (list []upstream.Candidate) {
	for _, to := range targets {
		list = append(list, upstream.Candidate(to))
	}
	return list
}

func retry(c *config.Retry) upstream.Retry {
	return upstream.Retry{Attempts: c.Attempts, Base: c.Base, Max: c.Max, Within: c.Within, Ratio: c.Ratio}
}

func breaker(c *config.Breaker) upstream.Breaker {
	return upstream.Breaker{
		Window: c.Window, MinCalls: c.MinCalls, FailureRatio: c.FailureRatio, Consecutive: c.Consecutive, Open: c.Open,
	}
}

func upstreamOptions(c *config.Upstream) (upstream.Upstream, error) {
	own, trip := retry(&c.Retry), breaker(&c.Breaker)
	u := upstream.Upstream{
		Name: c.Name, URL: c.URL, Headers: make(map[string]string, len(c.Headers)+2),
		Timeouts:  upstream.Timeouts(c.Timeouts),
		KeyPolicy: upstream.KeyPolicy(c.KeyPolicy), NoSticky: !c.Sticky,
		MaxInFlight: c.MaxInFlight, MaxInFlightPerKey: c.MaxPerKey, Queue: upstream.Queue(c.Queue),
		NoStreamOptions: !c.Capabilities.StreamOptions, Prefill: c.Capabilities.Prefill,
		PromptCacheKey: c.Capabilities.PromptCacheKey, ReplayReasoning: c.Capabilities.ReplayReasoning,
		Retry: &own, Breaker: &trip, OpenMax: c.Breaker.OpenMax,
	}
	if c.Organization != "" {
		u.Headers["OpenAI-Organization"] = c.Organization
	}
	if c.Project != "" {
		u.Headers["OpenAI-Project"] = c.Project
	}
	for name, value := range c.Headers {
		u.Headers[name] = value.Reveal()
	}
	for _, key := range c.Keys {
		u.Keys = append(u.Keys, upstream.Key{
			Label: key.Label, Value: key.Value.Reveal(), Weight: key.Weight, Since: key.Since.Time, RotateAfter: c.RotateAfter,
		})
	}
	var err error
	if u.RootCAs, err = authorities(c); err != nil {
		return u, err
	}
	u.Proxy, err = proxyOf(c)
	return u, err
}

// authorities are whom the system trusts and the upstream's own; nil: the system's.
func authorities(c *config.Upstream) (*x509.CertPool, error) {
	if c.CA.Path == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(c.CA.PEM) {
		return nil, fmt.Errorf("ca: %s has no certificate", c.CA.Path)
	}
	return pool, nil
}

// proxyOf is through whom an upstream is called; nil: as the environment says.
func proxyOf(c *config.Upstream) (func(*http.Request) (*url.URL, error), error) {
	switch text := c.Proxy.Reveal(); text {
	case "":
		return nil, nil
	case config.ProxyDirect:
		return func(*http.Request) (*url.URL, error) { return nil, nil }, nil
	default:
		through, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("proxy: %s is no URL", c.Proxy)
		}
		return http.ProxyURL(through), nil
	}
}

// addresses are where upstreams are reached, by name.
func addresses(c *config.Config) map[string]proxy.Address {
	all := make(map[string]proxy.Address, len(c.Upstreams))
	for i := range c.Upstreams {
		u, err := url.Parse(c.Upstreams[i].URL)
		if err != nil {
			continue // the pool has said so
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			port = map[string]int{"http": 80, "https": 443}[u.Scheme]
		}
		all[c.Upstreams[i].Name] = proxy.Address{Host: u.Hostname(), Port: port}
	}
	return all
}

func upstreamStates(pool *upstream.Pool) []telemetry.UpstreamState {
	breaker := map[string]telemetry.Breaker{
		"closed": telemetry.BreakerClosed, "half-open": telemetry.BreakerHalfOpen, "open": telemetry.BreakerOpen,
	}
	var states []telemetry.UpstreamState
	for _, status := range pool.Status() {
		s := telemetry.UpstreamState{
			Name: status.Upstream, InFlight: status.InFlight, Queued: status.Queued,
			Breakers: map[string]telemetry.Breaker{}, Cooldowns: map[string]time.Duration{},
		}
		for _, b := range status.Breakers {
			s.Breakers[b.Model] = breaker[b.State]
		}
		for _, k := range status.Keys {
			s.Cooldowns[k.Label] = k.Cooldown
		}
		states = append(states, s)
	}
	return states
}
