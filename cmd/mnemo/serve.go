package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"mnemo/config"
)

// serveCmd serves until it is told to stop.
type serveCmd struct{ configFlags }

// Run serves.
func (c *serveCmd) Run(ctx context.Context, p *process) error {
	settings, err := c.load(p)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, settings, p.getenv, p.stderr)
	if err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	watch, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		r := &reloader{
			load:  func() (*config.Config, error) { return c.load(p) },
			apply: a.apply, report: a.reloaded,
			log: a.telemetry.Logger(), last: settings,
		}
		r.run(watch, told)
	})
	defer watching.Wait()
	defer stop()
	return a.run(ctx)
}
