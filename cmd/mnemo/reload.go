package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"mnemo/config"
)

// settle is how long a file must be left alone before it is read: editors write in
// several steps.
const settle = 200 * time.Millisecond

// A reloader reads the configuration again when its file changes or when it is told
// to, and puts it in force, but for what takes a restart. A configuration with a mistake
// changes nothing.
type reloader struct {
	load  func() (*config.Config, error)
	apply func(*config.Config) error
	// report is told how each attempt ended; also if there was nothing to change.
	report func(err error)
	log    *slog.Logger
	last   *config.Config
	text   string // of the file, as it was read last
}

// run reloads until ctx ends; told has one element for each request to do so.
func (r *reloader) run(ctx context.Context, told <-chan os.Signal) {
	var changed <-chan fsnotify.Event
	var failed <-chan error
	if watcher, err := r.watch(); err != nil {
		r.log.Warn("the configuration file is not watched; SIGHUP reloads it", "error", err)
	} else if watcher != nil {
		defer func() { _ = watcher.Close() }()
		changed, failed = watcher.Events, watcher.Errors
	}
	r.reload(false) // it may have changed before it was watched
	quiet := time.NewTimer(settle)
	quiet.Stop()
	waiting := false // other files of the directory must not put the reading off for ever
	later := func() {
		if !waiting {
			waiting = true
			quiet.Reset(settle)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-told:
			r.reload(true)
		case _, open := <-changed:
			if !open {
				changed = nil
				continue
			}
			later()
		case err := <-failed: // such as too many events at once
			r.log.Warn("watch the configuration file", "error", err)
			later()
		case <-quiet.C:
			waiting = false
			if text := r.read(); text != r.text {
				r.reload(false)
			}
		}
	}
}

// Private

// watch watches the file's directory: a file that is replaced is another one.
func (r *reloader) watch() (*fsnotify.Watcher, error) {
	if r.last.File == "" {
		return nil, nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := watcher.Add(filepath.Dir(r.last.File)); err != nil {
		_ = watcher.Close()
		return nil, err
	}
	return watcher, nil
}

func (r *reloader) read() string {
	if r.last.File == "" {
		return ""
	}
	text, err := os.ReadFile(r.last.File)
	if err != nil {
		return r.text // it is being replaced, or gone
	}
	return string(text)
}

// reload is told whether somebody asked for it: then files that settings name, such as
// that of prices, may have changed where no setting has.
func (r *reloader) reload(asked bool) {
	r.text = r.read()
	err := r.renew(asked)
	if err != nil {
		r.log.Error("the configuration is not taken over; the one before stays in force", "error", err)
	}
	r.report(err)
}

// renew loads the configuration and puts what changed in force. An error changes
// nothing.
func (r *reloader) renew(asked bool) error {
	next, err := r.load()
	if err != nil {
		return err
	}
	// Without its settings it would be another program, open to others.
	if r.last.File != "" && (next.File == "" || strings.TrimSpace(r.text) == "") {
		return fmt.Errorf("%s is gone or empty", r.last.File)
	}
	changes := r.last.Changes(next)
	if len(changes) == 0 && !asked {
		return nil
	}
	if err := r.apply(next); err != nil {
		return err
	}
	fixed := next.Restart(changes)
	r.last = next
	r.log.Info("configuration reloaded", "changed", len(changes)-len(fixed))
	if len(fixed) > 0 {
		r.log.Warn("settings changed that take a restart", "settings", strings.Join(fixed, " "))
	}
	return nil
}
