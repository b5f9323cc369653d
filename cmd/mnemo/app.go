package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"mnemo/config"
	"mnemo/ledger"
	"mnemo/memory"
	"mnemo/memory/tokens"
	"mnemo/proxy"
	"mnemo/proxy/answercache"
	"mnemo/proxy/upstream"
	"mnemo/proxy/upstream/redisboard"
	"mnemo/telemetry"
)

// What a shutdown waits for beyond the calls, where it cannot be reached.
const (
	lastExport  = 3 * time.Second // the last traces and metrics
	lastEntries = 5 * time.Second // the last entries of the ledger
	lastAlerts  = 5 * time.Second // the last alerts of budgets
)

// errClosed is why a configuration is not put in force any more.
var errClosed = errors.New("the program is ending")

// An app is the whole program, put together and listening, not yet serving.
type app struct {
	config    atomic.Pointer[config.Config] // the one in force
	listener  net.Listener
	telemetry *telemetry.Telemetry
	store     memory.Store
	ledger    ledger.Store   // nil: none is kept
	entries   *ledger.Writer // to the ledger; nil: there is none
	budgets   budgets
	answers   answercache.Cache // nil: no answers are kept
	board     *redisboard.Board // nil: replicas do not tell each other of upstreams
	pool      atomic.Pointer[upstream.Pool]
	summaries *summaries
	proxy     *proxy.Server

	changing sync.Mutex // held while a configuration is put in force, and to close
	closed   bool
}

// newApp puts the program together. What it opened is closed again if it fails.
func newApp(ctx context.Context, c *config.Config, getenv func(string) string, log io.Writer) (*app, error) {
	a := new(app)
	a.config.Store(c)
	if err := a.open(ctx, getenv, log); err != nil {
		return nil, errors.Join(err, a.close(ctx))
	}
	return a, nil
}

// apply puts another configuration in force for the calls that come, but for what takes
// a restart; those under way go on with what they have. An error changes nothing.
func (a *app) apply(next *config.Config) error {
	a.changing.Lock()
	defer a.changing.Unlock()
	if a.closed {
		return errClosed
	}
	next, err := next.After(a.config.Load())
	if err != nil {
		return err
	}
	rules, err := budgetRules(next)
	if err != nil {
		return err
	}
	settings, err := proxySettings(next)
	if err != nil {
		return err
	}
	options, err := poolOptions(next, a.telemetry, a.sharing())
	if err != nil {
		return err
	}
	pool, err := a.pool.Load().Reload(options)
	if err != nil {
		return err
	}
	if err := a.budgets.Reload(rules); err != nil {
		a.telemetry.Logger().Error("the budgets before stay in force", "error", err)
	}
	a.pool.Store(pool)
	a.config.Store(next)
	a.summaries.apply(next, a)
	a.proxy.Apply(a.complete(settings))
	return nil
}

// complete adds to settings what the program has beside the configuration.
func (a *app) complete(s proxy.Settings) proxy.Settings {
	s.Pool, s.Budgets, s.Cache = a.pool.Load(), a.budgets.Budgets, a.answers
	return s
}

// reloaded tells of an attempt to put a configuration in force.
func (a *app) reloaded(err error) {
	a.telemetry.Reloaded(err == nil)
	if err == nil {
		a.proxy.Outdated(time.Time{})
		return
	}
	a.proxy.Outdated(time.Now())
}

// url is where the program can be reached.
func (a *app) url() string {
	scheme := "http"
	if a.config.Load().TLS.Cert != "" {
		scheme = "https"
	}
	return scheme + "://" + a.listener.Addr().String()
}

// run serves until ctx ends, then lets what runs come to its end.
func (a *app) run(ctx context.Context) error {
	log := a.telemetry.Logger()
	served := make(chan error, 1)
	go func() { served <- a.proxy.Serve(a.listener) }()
	log.Info("listening", "url", a.url(), "version", version(), "store", a.config.Load().Store.URL.String())
	select {
	case err := <-served:
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Load().Drain)
		defer cancel()
		_ = a.proxy.Shutdown(stop) // calls may still be under way
		return errors.Join(err, a.close(stop))
	case <-ctx.Done():
	}
	log.Info("draining", "in_flight", a.proxy.InFlight(), "at_most", a.config.Load().Drain)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Load().Drain)
	defer cancel()
	err := a.proxy.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // it has said which calls were cut
	}
	if err == nil {
		err = <-served
	}
	return errors.Join(err, a.close(drain))
}

// Private

// open opens every part, what needs another after it.
func (a *app) open(ctx context.Context, getenv func(string) string, log io.Writer) (err error) {
	c := a.config.Load()
	if a.telemetry, err = startTelemetry(ctx, c, getenv, log); err != nil {
		return err
	}
	redis.SetLogger(redisLog{a.telemetry.Logger()})
	settings, err := proxySettings(c)
	if err != nil {
		return err
	}
	if a.store, err = openStore(ctx, c, a.telemetry); err != nil {
		return err
	}
	if a.ledger, err = openLedger(ctx, c, a.telemetry); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if a.ledger != nil {
		a.entries = startWriter(c, a.ledger, a.telemetry)
	}
	if a.budgets, err = openBudgets(ctx, c, a.ledger, a.telemetry); err != nil {
		return err
	}
	if a.answers, err = openAnswers(c, a.telemetry); err != nil {
		return err
	}
	if err := a.openPool(ctx, c); err != nil {
		return err
	}
	if a.listener, err = listen(ctx, c); err != nil {
		return err
	}
	// The default vocabulary takes a moment to load; the first call need not wait.
	go tokens.For("").Preload()
	a.summaries = newSummaries(c, a)
	a.proxy = proxy.New(proxy.Options{
		Settings: a.complete(settings), Store: a.store, Telemetry: a.telemetry,
		Counter: new(counters).of, Window: tokens.Window,
		Summaries: a.summaries, Ledger: a.entries, LedgerStore: a.ledger, Log: a.telemetry.Logger(),
	})
	return nil
}

func (a *app) openPool(ctx context.Context, c *config.Config) (err error) {
	if url := c.Breaker.Share.Reveal(); url != "" {
		if a.board, err = redisboard.Open(ctx, redisboard.Options{URL: url, Log: a.telemetry.Logger()}); err != nil {
			return fmt.Errorf("breaker.share: %w", err)
		}
	}
	options, err := poolOptions(c, a.telemetry, a.sharing())
	if err != nil {
		return err
	}
	pool, err := upstream.New(options)
	if err != nil {
		return err
	}
	a.pool.Store(pool)
	a.telemetry.ObserveUpstreams(func() []telemetry.UpstreamState { return upstreamStates(a.pool.Load()) })
	return nil
}

// sharing is where the breakers of replicas tell each other what they find, or nil.
func (a *app) sharing() upstream.Board {
	if a.board == nil {
		return nil
	}
	return a.board
}

// close closes what was opened, the log last.
func (a *app) close(ctx context.Context) (err error) {
	a.changing.Lock()
	a.closed = true
	a.changing.Unlock()
	if a.listener != nil {
		a.listener.Close() //nolint:errcheck // the server may have closed it
	}
	if a.summaries != nil {
		if a.summaries.close(ctx) != nil {
			a.telemetry.Logger().Warn("summaries were cut at shutdown")
		}
	}
	if pool := a.pool.Load(); pool != nil {
		pool.Close()
	}
	if a.board != nil {
		_ = a.board.Close()
	}
	if a.answers != nil {
		_ = a.answers.Close()
	}
	if lost := errors.Join(a.budgets.close(ctx), a.closeLedger(ctx)); lost != nil {
		a.telemetry.Logger().Warn("not all of what was spent is told at shutdown", "error", lost)
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

// closeLedger writes what waits.
func (a *app) closeLedger(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEntries)
	defer cancel()
	if a.entries != nil {
		err = a.entries.Close(ctx)
	}
	if a.ledger != nil {
		err = errors.Join(err, a.ledger.Close())
	}
	return err
}

func openAnswers(c *config.Config, t *telemetry.Telemetry) (answercache.Cache, error) {
	url := c.AnswerCache.URL.Reveal()
	if url == "" {
		return answercache.NewMemory(int64(c.AnswerCache.Size)), nil
	}
	cache, err := answercache.NewRedis(answercache.RedisOptions{URL: url, Log: t.Logger()})
	if err != nil {
		return nil, fmt.Errorf("answer_cache: %w", err)
	}
	return cache, nil
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
