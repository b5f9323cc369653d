package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"

	"mnemo/config"
	"mnemo/telemetry"
)

// Private

func startTelemetry(ctx context.Context, c *config.Config, getenv func(string) string, log io.Writer) (*telemetry.Telemetry, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	return telemetry.Start(ctx, telemetry.Options{
		Version: version(), Getenv: getenv, LogFormat: c.Log.Format, LogLevel: level, LogOutput: log,
		Semconv: telemetry.Semconv(c.Telemetry.Semconv), Content: c.Telemetry.Content, ContentLimit: int(c.Telemetry.ContentLimit),
		Redact: redactions(c), MaxTenants: cmp.Or(c.Telemetry.Tenants, -1),
	})
}

func redactions(c *config.Config) (list []*regexp.Regexp) {
	for _, p := range c.Telemetry.Redact {
		list = append(list, p.Regexp)
	}
	return list
}
