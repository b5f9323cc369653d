package main

import "context"

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
	return a.run(ctx)
}
