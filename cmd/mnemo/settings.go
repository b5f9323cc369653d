package main

import (
	"slices"
	"time"

	"mnemo/config"
	"mnemo/memory"
	"mnemo/proxy"
)

// Private

// proxySettings are what the configuration says of how calls are served. What it takes
// beside, the app adds.
func proxySettings(c *config.Config) (proxy.Settings, error) {
	strategy, err := memory.ParseStrategy(c.Memory.Strategy)
	if err != nil {
		return proxy.Settings{}, err
	}
	prices, err := newTariff(c)
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
		Auth: auth,
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
		Personas:   personas(c),
		Cost:       prices.cost,
		Addresses:  addresses(c),
		CacheRules: cacheRules(c),
		CacheKeys:  slices.ContainsFunc(c.Upstreams, func(u config.Upstream) bool { return u.Capabilities.PromptCacheKey }),
	}, nil
}

// personas are those of the configuration.
func personas(c *config.Config) (list []proxy.Persona) {
	for name, p := range c.Personas {
		list = append(list, proxy.Persona{Name: name, Prompt: p.Prompt, Greeting: p.Greeting, Vars: p.Vars})
	}
	return list
}

// cacheRules say of each route whether its answers are kept.
func cacheRules(c *config.Config) (rules []proxy.CacheRule) {
	for _, r := range c.Routes {
		rules = append(rules, proxy.CacheRule{Model: r.Model, TTL: r.Cache.TTL, MaxEntries: r.Cache.MaxEntries, StaleIfError: r.Cache.StaleIfError})
	}
	return rules
}
