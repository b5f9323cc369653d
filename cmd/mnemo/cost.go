package main

import (
	"fmt"

	"mnemo/config"
	"mnemo/proxy"
	"mnemo/telemetry"
	"mnemo/telemetry/pricing"
)

// embedded is the source of the prices that the program brings with it.
const embedded = "embedded"

// A tariff is what upstreams charge: what the configuration says of each, then
// pricing.file, then the embedded table.
type tariff struct {
	table *pricing.Table
	own   map[string]*pricing.Table // by upstream
}

// newTariff reads the prices of a configuration.
func newTariff(c *config.Config) (*tariff, error) {
	table, err := loadPrices(c.Pricing.File)
	if err != nil {
		return nil, fmt.Errorf("pricing.file: %w", err)
	}
	t := &tariff{table: table, own: map[string]*pricing.Table{}}
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		if len(u.Prices) == 0 {
			continue
		}
		var prices []pricing.Price
		for model, p := range u.Prices {
			prices = append(prices, pricing.Price{Model: model, Source: "upstreams." + u.Name + ".prices", Rates: pricing.Rates{
				Input: pricing.Rate(p.Input), CachedInput: pricing.Rate(p.CachedInput), CacheWrite: pricing.Rate(p.CacheWrite), Output: pricing.Rate(p.Output),
			}})
		}
		t.own[u.Name] = new(pricing.Table).Over(prices)
	}
	return t, nil
}

// price finds what a model costs at an upstream; "" is any.
func (t *tariff) price(upstream, model string) (pricing.Price, bool) {
	if own := t.own[upstream]; own != nil {
		if p, known := own.Price(model); known {
			return p, true
		}
	}
	return t.table.PriceAt(upstream, model)
}

// cost is what tokens of a model cost at an upstream.
func (t *tariff) cost(upstream, model string, u telemetry.Usage) proxy.Cost {
	p, known := t.price(upstream, model)
	if !known {
		return proxy.Cost{}
	}
	from := telemetry.CostConfig
	if p.Source == embedded {
		from = telemetry.CostTable
	}
	return proxy.Cost{Known: true, From: from, NanoDollars: p.Cost(pricing.Usage{
		Input: u.Input, CachedInput: u.CachedInput, CacheWrite: u.CacheWrite, Output: u.Output,
	})}
}
