package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"mnemo/config"
	"mnemo/memory"
	"mnemo/memory/tokens"
	"mnemo/proxy"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
	"mnemo/telemetry/pricing"
)

// lastExport bounds the export of the last traces and metrics at a shutdown.
const lastExport = 3 * time.Second

// An app is the whole program, put together and listening, not yet serving.
type app struct {
	config    *config.Config
	listener  net.Listener
	telemetry *telemetry.Telemetry
	store     memory.Store
	pool      *upstream.Pool
	summaries *summaries
	proxy     *proxy.Server
}

// newApp puts the program together. What it opened is closed again if it fails.
func newApp(ctx context.Context, c *config.Config, getenv func(string) string, log io.Writer) (*app, error) {
	a := &app{config: c}
	if err := a.open(ctx, getenv, log); err != nil {
		return nil, errors.Join(err, a.close(ctx))
	}
	return a, nil
}

// apply puts another configuration in force for the calls that come. An error changes
// nothing.
func (a *app) apply(next *config.Config) error {
	prices, err := loadPrices(next.Pricing.File)
	if err != nil {
		return fmt.Errorf("pricing.file: %w", err)
	}
	settings, err := proxySettings(next, a.pool, prices)
	if err != nil {
		return err
	}
	a.proxy.Apply(settings)
	return nil
}

// reloaded tells of an attempt to put a configuration in force.
func (a *app) reloaded(err error) {
	if err == nil {
		a.proxy.Outdated(time.Time{})
		return
	}
	a.proxy.Outdated(time.Now())
}

// url is where the program can be reached.
func (a *app) url() string {
	scheme := "http"
	if a.config.TLS.Cert != "" {
		scheme = "https"
	}
	return scheme + "://" + a.listener.Addr().String()
}

// run serves until ctx ends, then lets what runs come to its end.
func (a *app) run(ctx context.Context) error {
	log := a.telemetry.Logger()
	served := make(chan error, 1)
	go func() { served <- a.proxy.Serve(a.listener) }()
	log.Info("listening", "url", a.url(), "version", version(), "store", a.config.Store.URL.String())
	select {
	case err := <-served:
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Drain)
		defer cancel()
		_ = a.proxy.Shutdown(stop) // calls may still be under way
		return errors.Join(err, a.close(stop))
	case <-ctx.Done():
	}
	log.Info("draining", "in_flight", a.proxy.InFlight(), "at_most", a.config.Drain)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Drain)
	defer cancel()
	err := a.proxy.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("calls were cut at shutdown", "in_flight", a.proxy.InFlight())
		err = nil
	}
	if err == nil {
		err = <-served
	}
	return errors.Join(err, a.close(drain))
}

// Private

// open opens every part, what needs another after it.
func (a *app) open(ctx context.Context, getenv func(string) string, log io.Writer) (err error) {
	c := a.config
	if a.telemetry, err = startTelemetry(ctx, c, getenv, log); err != nil {
		return err
	}
	prices, err := loadPrices(c.Pricing.File)
	if err != nil {
		return fmt.Errorf("pricing.file: %w", err)
	}
	if a.store, err = openStore(ctx, c, a.telemetry); err != nil {
		return err
	}
	if a.pool, err = newPool(c, a.telemetry); err != nil {
		return err
	}
	a.telemetry.ObserveUpstreams(func() []telemetry.UpstreamState { return upstreamStates(a.pool) })
	if a.listener, err = listen(ctx, c); err != nil {
		return err
	}
	// The default vocabulary takes a moment to load; the first call need not wait.
	go tokens.For("").Preload()
	a.summaries = newSummaries(c, a)
	a.proxy, err = newProxy(c, a, prices)
	return err
}

// close closes what was opened, the log last.
func (a *app) close(ctx context.Context) (err error) {
	if a.listener != nil {
		a.listener.Close() //nolint:errcheck // the server may have closed it
	}
	if a.summaries != nil {
		if a.summaries.Close(ctx) != nil {
			a.telemetry.Logger().Warn("summaries were cut at shutdown")
		}
	}
	if a.pool != nil {
		a.pool.Close()
	}
	if a.store != nil {
		err = a.store.Close() // after what the outbox holds is written
	}
	if a.telemetry != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastExport) // the drain may have used up its time
		defer cancel()
		err = errors.Join(err, a.telemetry.Shutdown(last))
	}
	return err
}

func startTelemetry(ctx context.Context, c *config.Config, getenv func(string) string, log io.Writer) (*telemetry.Telemetry, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	return telemetry.Start(ctx, telemetry.Options{
		Version: version(), Getenv: getenv, LogFormat: c.Log.Format, LogLevel: level, LogOutput: log,
	})
}

func newPool(c *config.Config, t *telemetry.Telemetry) (*upstream.Pool, error) {
	o := upstream.Options{
		Retry: upstream.Retry{Attempts: c.Retry.Attempts, Base: c.Retry.Base, Max: c.Retry.Max, Ratio: c.Retry.Ratio},
		Breaker: upstream.Breaker{
			Window: c.Breaker.Window, MinCalls: c.Breaker.MinCalls, FailureRatio: c.Breaker.FailureRatio,
			Consecutive: c.Breaker.Consecutive, Open: c.Breaker.Open,
		},
		OpenMax:    c.Breaker.OpenMax,
		HedgeAfter: c.HedgeAfter,
		Log:        t.Logger(),
		OnAttempt: func(a upstream.Attempt) {
			t.Attempt(context.Background(), a.Upstream, a.Outcome, a.Status)
		},
	}
	for i := range c.Upstreams {
		o.Upstreams = append(o.Upstreams, upstreamOptions(&c.Upstreams[i]))
	}
	for _, r := range c.Routes {
		route := upstream.Route{Model: r.Model}
		for _, to := range r.To {
			route.To = append(route.To, upstream.Candidate(to))
		}
		o.Routes = append(o.Routes, route)
	}
	return upstream.New(o)
}

func upstreamOptions(c *config.Upstream) upstream.Upstream {
	u := upstream.Upstream{
		Name: c.Name, URL: c.URL, Headers: make(map[string]string, len(c.Headers)),
		Timeouts:  upstream.Timeouts(c.Timeouts),
		KeyPolicy: upstream.KeyPolicy(c.KeyPolicy), NoSticky: !c.Sticky,
		MaxInFlight: c.MaxInFlight, MaxInFlightPerKey: c.MaxPerKey, Queue: upstream.Queue(c.Queue),
		NoStreamOptions: !c.Capabilities.StreamOptions,
	}
	for name, value := range c.Headers {
		u.Headers[name] = value.Reveal()
	}
	for _, key := range c.Keys {
		u.Keys = append(u.Keys, upstream.Key{Label: key.Label, Value: key.Value.Reveal(), Weight: key.Weight})
	}
	return u
}

func upstreamStates(pool *upstream.Pool) []telemetry.UpstreamState {
	breaker := map[string]telemetry.Breaker{
		"closed": telemetry.BreakerClosed, "half-open": telemetry.BreakerHalfOpen, "open": telemetry.BreakerOpen,
	}
	var states []telemetry.UpstreamState
	for _, status := range pool.Status() {
		s := telemetry.UpstreamState{
			Name: status.Upstream, InFlight: status.InFlight,
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

func newProxy(c *config.Config, a *app, prices *pricing.Table) (*proxy.Server, error) {
	settings, err := proxySettings(c, a.pool, prices)
	if err != nil {
		return nil, err
	}
	return proxy.New(proxy.Options{
		Settings: settings, Store: a.store, Telemetry: a.telemetry,
		Counter: new(counters).of, Window: tokens.Window,
		Summaries: a.summaries, Log: a.telemetry.Logger(),
	}), nil
}

// proxySettings are the settings of the proxy that can change while it runs.
func proxySettings(c *config.Config, pool *upstream.Pool, prices *pricing.Table) (proxy.Settings, error) {
	strategy, err := memory.ParseStrategy(c.Memory.Strategy)
	if err != nil {
		return proxy.Settings{}, err
	}
	auth := proxy.Auth{Mode: proxy.AuthMode(c.Auth.Mode), Local: c.Loopback()}
	for _, key := range c.Auth.Keys {
		auth.Keys = append(auth.Keys, proxy.ClientKey{Name: key.Name, Tenant: key.Tenant, Hash: key.Hash, Models: key.Models, Admin: key.Admin})
	}
	wait := time.Duration(0)
	if c.Summarize.Inline {
		wait = c.Summarize.Timeout
	}
	return proxy.Settings{
		Pool: pool, Auth: auth,
		Memory: proxy.Memory{
			SessionHeader:  c.Memory.SessionHeader,
			Policy:         memory.Policy{Strategy: strategy, Window: c.Memory.Window, Budget: c.Memory.Budget, LowWater: c.Memory.LowWater},
			ReplyReserve:   c.Memory.ReplyReserve,
			LoadTimeout:    c.Store.LoadTimeout,
			FailClosed:     c.Store.OnError == config.OnErrorClosed,
			DiscardPartial: c.Memory.OnDisconnect == config.OnDisconnectDiscard,
			SummaryWait:    wait,
		},
		Limits: proxy.Limits{
			Body: int(c.Limits.Body), Header: int(c.Limits.Header), Depth: c.Limits.Depth, Session: int64(c.Limits.Session),
			Event: int(c.Limits.SSEEvent), InFlight: int64(c.Limits.InFlight),
		},
		Personas: personas(c),
		Cost: func(model string, u memory.Usage) (int64, bool) {
			price, known := prices.Price(model)
			if !known {
				return 0, false
			}
			return price.Cost(pricing.Usage{Input: u.Input, CachedInput: u.CachedInput, Output: u.Output}), true
		},
	}, nil
}

func listen(ctx context.Context, c *config.Config) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil || c.TLS.Cert == "" {
		return l, err
	}
	cert, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tls: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

// counters holds one memory.Counter for each tokenizer.
type counters struct{ byEncoding sync.Map }

func (c *counters) of(model string) *memory.Counter {
	e := tokens.For(model)
	if counter, ok := c.byEncoding.Load(e); ok {
		return counter.(*memory.Counter)
	}
	counter, _ := c.byEncoding.LoadOrStore(e, &memory.Counter{Message: e.CountMessage, Fixed: e.CountTools})
	return counter.(*memory.Counter)
}
