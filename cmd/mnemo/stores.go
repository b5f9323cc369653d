package main

import (
	"context"
	"fmt"
	"log/slog"

	"mnemo/config"
	"mnemo/memory"
	"mnemo/memory/outbox"
	"mnemo/memory/pgstore"
	"mnemo/memory/redisstore"
	"mnemo/memory/sqlitestore"
	"mnemo/telemetry"
)

// openStore opens the configured store. Where calls are served while it cannot be
// reached, their turns wait in an outbox before it.
func openStore(ctx context.Context, c *config.Config, t *telemetry.Telemetry) (memory.Store, error) {
	store, err := openBareStore(ctx, c, t.Logger())
	if err != nil || c.Store.OnError == config.OnErrorClosed {
		return store, err
	}
	box, err := outbox.Open(outbox.Options{
		Store: store, MaxTurns: c.Store.Queue.Turns, MaxBytes: int64(c.Store.Queue.Size),
		SpoolDir: c.Store.Queue.Spool, MaxSpoolBytes: int64(c.Store.Queue.SpoolSize), Log: t.Logger(),
	})
	if err != nil {
		_ = store.Close()
		return nil, fmt.Errorf("store.queue.spool: %w", err)
	}
	t.ObserveQueue(func() telemetry.QueueState {
		s := box.Status()
		return telemetry.QueueState{
			Down: s.Down, Turns: s.Queued, Bytes: s.QueuedBytes,
			Spooled: s.Spooled, SpooledBytes: s.SpoolBytes, Lost: s.Lost,
		}
	})
	return box, nil
}

// Private

func openBareStore(ctx context.Context, c *config.Config, log *slog.Logger) (memory.Store, error) {
	// A session may go over its limit by the turn that is under way; the proxy
	// refuses the next.
	limit := int64(c.Limits.Session) + 2*int64(c.Limits.Body)
	url := c.Store.URL.Reveal()
	switch c.Store.URL.Scheme() {
	case "sqlite":
		return asStore(sqlitestore.Open(ctx, sqlitestore.Options{Path: c.Store.URL.SQLitePath(), TTL: c.Store.TTL, MaxSessionBytes: limit, Log: log}))
	case "postgres", "postgresql":
		return asStore(pgstore.Open(ctx, pgstore.Options{URL: url, TTL: c.Store.TTL, MaxSessionBytes: limit, Log: log}))
	}
	return asStore(redisstore.Open(ctx, redisstore.Options{URL: url, TTL: c.Store.TTL, MaxSessionBytes: limit, Log: log}))
}

// asStore makes no store of a nil one of its own type.
func asStore[S memory.Store](store S, err error) (memory.Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}

// redisLog takes what the Redis client says of its connections, which it would
// write to stderr by itself. The store's errors tell the same.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, v...))
}
