package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"mnemo/config"
)

// A configuration that comes while the program ends must open nothing that nobody closes.
func TestApp_takes_no_configuration_when_it_is_closed(t *testing.T) {
	load := func(text string) *config.Config {
		t.Helper()
		file(t, "mnemo.yaml", text)
		c, err := (&configFlags{}).load(&process{stdout: io.Discard, stderr: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const base = "listen: 127.0.0.1:0\nstore: {url: \"sqlite:m.db\"}\n"
	a, err := newApp(t.Context(), load(base), func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	next := load(base + "summarize: {max_tokens: 77}\n")
	if err := a.apply(next); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.run(ended); err != nil {
		t.Error(err)
	}
	before := a.pool.Load()
	if err := a.apply(load(base)); !errors.Is(err, errClosed) || a.pool.Load() != before {
		t.Errorf("it is put in force, %v", err)
	}
}
