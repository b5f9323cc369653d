package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mnemo/config"
)

// A reloading is a reloader at work on a file.
type reloading struct {
	t    *testing.T
	path string
	told chan os.Signal
	mu   sync.Mutex
	now  *config.Config
	log  bytes.Buffer
	bad  error // what was reported last
}

func (r *reloading) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = err
}

// reported waits until the last report is of a failure, or of none.
func (r *reloading) reported(failure bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		r.mu.Lock()
		bad := r.bad
		r.mu.Unlock()
		if (bad != nil) == failure {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("reported is %v", bad)
		}
	}
}

func (r *reloading) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *reloading) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// until waits for the log to say something, and for a persona to be in force.
func (r *reloading) until(says, prompt string) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		r.mu.Lock()
		said, now := r.log.String(), ""
		if r.now != nil {
			now = r.now.Personas["p"].Prompt
		}
		r.mu.Unlock()
		if strings.Contains(said, says) && now == prompt {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the persona is %q, want %q; the log says\n%s", now, prompt, said)
		}
	}
}

// startReloading starts a reloader with the configuration of a text, after which
// others were written.
func startReloading(t *testing.T, text string, others ...string) *reloading {
	t.Helper()
	r := &reloading{t: t, path: filepath.Join(t.TempDir(), "mnemo.yaml"), told: make(chan os.Signal, 1)}
	r.write(text)
	load := func() (*config.Config, error) {
		return config.Load(config.Sources{File: r.path, ReadFile: os.ReadFile})
	}
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range others {
		r.write(other)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	reloader := &reloader{load: load, last: first, log: slog.New(slog.NewTextHandler(r, nil)), report: r.report, apply: func(c *config.Config) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now = c
		return nil
	}}
	ready := make(chan struct{})
	running.Go(func() {
		close(ready)
		reloader.run(ctx, r.told)
	})
	<-ready
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	return r
}

func TestReload_follows_the_file_however_it_is_written(t *testing.T) {
	r := startReloading(t, "personas: {p: {prompt: one}}")
	r.told <- syscall.SIGHUP // nothing changed; it is at work once this is taken
	r.write("personas: {p: {prompt: two}}")
	r.told <- syscall.SIGHUP
	r.until("reloaded", "two")
	other := r.path + ".new"
	if err := os.WriteFile(other, []byte("personas: {p: {prompt: three}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, r.path); err != nil {
		t.Fatal(err)
	}
	r.until("reloaded", "three")
	r.write("personas: {p: {prompt: four}}")
	r.until("reloaded", "four")
}

func TestReload_takes_over_what_changed_before_it_was_at_work(t *testing.T) {
	r := startReloading(t, "personas: {p: {prompt: one}}", "personas: {p: {prompt: two}}")
	r.until("reloaded", "two")
}

func TestReload_keeps_the_configuration_before_a_mistake_and_names_what_takes_a_restart(t *testing.T) {
	r := startReloading(t, "personas: {p: {prompt: one}}")
	r.told <- syscall.SIGHUP
	r.write("personas: {p: {prompt: two}}")
	r.until("reloaded", "two")
	r.write("personas: {p: {promt: three}}")
	r.until("not taken over", "two")
	r.reported(true)
	r.until("promt", "two")
	r.write("personas: {p: {prompt: four}}\nmemory: {budget: 9}\nlisten: 127.0.0.1:1")
	r.until(`settings=listen`, "four")
	r.reported(false)
}

func TestReload_reports_that_a_mistake_is_gone_though_nothing_changed(t *testing.T) {
	r := startReloading(t, "personas: {p: {prompt: one}}")
	r.write("personas: {p: {promt: one}}")
	r.told <- syscall.SIGHUP
	r.reported(true)
	r.write("personas: {p: {prompt: one}}")
	r.told <- syscall.SIGHUP
	r.reported(false)
}
