package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"mnemo/config"
	"mnemo/ledger"
)

const (
	// demoPriced is the model whose prices the demo model has.
	demoPriced = "gpt-5.4-mini"
	// demoInterval is how often the demo's ledger is written: it is read at once.
	demoInterval = 10 * time.Millisecond
	// demoBooked bounds how long the demo waits for its calls to be in the ledger.
	demoBooked = 5 * time.Second
)

// Private

// priceDemo gives the demo model prices.
func priceDemo(c *config.Config) error {
	prices, err := newTariff(c)
	if err != nil {
		return err
	}
	p, known := prices.price("", demoPriced)
	if !known {
		return fmt.Errorf("the price of %s is not known", demoPriced)
	}
	c.Ledger.Interval = demoInterval
	c.Upstreams[0].Prices = map[string]config.Price{demoModelName: {
		Input: config.Rate(p.Input), CachedInput: config.Rate(p.CachedInput), CacheWrite: config.Rate(p.CacheWrite), Output: config.Rate(p.Output),
	}}
	return nil
}

// tellCost says what the conversations cost, as the ledger has it.
func (d *demo) tellCost(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoBooked)
	defer cancel()
	tick := time.NewTicker(demoInterval)
	defer tick.Stop()
	for {
		spent, err := ledger.Spent(ctx, d.app.ledger, ledger.Query{Scope: ledger.Scope{AllTenants: true}})
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if spent.Calls >= demoCalls {
			fmt.Fprintf(out, "cost       is known: %d calls, %d tokens in, %d out, %s at the prices of %s\n           (mnemo usage --server %s)\n",
				spent.Calls, spent.Input, spent.Output, shortUSD(spent.Cost), demoPriced, strings.TrimSuffix(d.url, "/v1"))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("demo: of %d calls %d are in the ledger", demoCalls, spent.Calls)
		case <-tick.C:
		}
	}
}
