package main

import (
	"context"
	"runtime/debug"
)

// gcPercent is lower than Go's default of 100: mnemo makes little garbage per
// call and keeps little, so that collecting more often costs no measurable CPU
// and saves a quarter of the memory. GOGC has precedence.
const gcPercent = 50

// serveCmd serves until it is told to stop.
type serveCmd struct{ configFlags }

// Run serves.
func (c *serveCmd) Run(ctx context.Context, p *process) error {
	settings, err := c.load(p)
	if err != nil {
		return err
	}
	if p.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	a, err := newApp(ctx, settings, p.getenv, p.stderr)
	if err != nil {
		return err
	}
	return a.run(ctx)
}
