package main

import (
	"context"

	"mnemo/config"
	"mnemo/ledger"
	"mnemo/ledger/pgledger"
	"mnemo/ledger/redisledger"
	"mnemo/ledger/sqliteledger"
	"mnemo/telemetry"
)

// ledgerSuffix names the file of the ledger after that of the sessions, beside it.
const ledgerSuffix = "-ledger"

// Private

// openLedger opens the ledger in the database of the store; nil: none is kept.
func openLedger(ctx context.Context, c *config.Config, t *telemetry.Telemetry) (ledger.Store, error) {
	if !c.Ledger.Enabled {
		return nil, nil
	}
	url, log := c.Store.URL.Reveal(), t.Logger()
	switch c.Store.URL.Scheme() {
	case "sqlite":
		return asLedger(sqliteledger.Open(ctx, sqliteledger.Options{Path: c.Store.URL.SQLitePath() + ledgerSuffix}))
	case "postgres", "postgresql":
		return asLedger(pgledger.Open(ctx, pgledger.Options{URL: url, Log: log}))
	}
	return asLedger(redisledger.Open(ctx, redisledger.Options{URL: url, Keep: c.Ledger.Keep, Log: log}))
}

// asLedger makes no ledger of a nil one of its own type.
func asLedger[S ledger.Store](store S, err error) (ledger.Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

// startWriter starts what brings entries to the ledger.
func startWriter(c *config.Config, store ledger.Store, t *telemetry.Telemetry) *ledger.Writer {
	w := ledger.NewWriter(ledger.WriterOptions{
		Store: store, Interval: c.Ledger.Interval, Queue: c.Ledger.Queue, Keep: c.Ledger.Keep, Log: t.Logger(),
	})
	t.ObserveLedger(func() telemetry.LedgerState {
		return telemetry.LedgerState{Written: w.Written(), Lost: w.Dropped(), Waiting: w.Queued()}
	})
	return w
}
