package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"mnemo/config"
)

const (
	demoListen = "127.0.0.1:8080"
	demoAny    = "127.0.0.1:0"

	// demoPause lets a reader see that an answer is streamed.
	demoPause = 15 * time.Millisecond
)

// demoCmd shows a chat that remembers, with a built-in model: it needs no key and
// no network.
type demoCmd struct {
	Once   bool   `help:"Exit after the conversations, with 0 if memory worked."`
	Listen string `help:"Address to listen on; default 127.0.0.1:8080, or a free port if that is taken." placeholder:"HOST:PORT"`
}

// Run plays the conversations, then serves until ctx ends.
func (c *demoCmd) Run(ctx context.Context, p *process) (err error) {
	d, err := startDemo(ctx, p, c.Listen, demoPause)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	d.introduce(p)
	if err := playTalks(ctx, d.url, p.stdout); err != nil {
		return err
	}
	if err := d.tellCost(ctx, p.stdout); err != nil {
		return err
	}
	if c.Once {
		return nil
	}
	fmt.Fprintf(p.stdout, "\nmnemo serves at %s until you press Ctrl-C. Try it from another terminal:\n\n", d.url)
	for _, s := range demoSnippets(d.url) {
		fmt.Fprintf(p.stdout, "%s\n\n", s)
	}
	select {
	case <-ctx.Done():
	case <-d.stopped:
	}
	return nil
}

// A demo is mnemo before the demo model, serving.
type demo struct {
	url     string // mnemo's base URL, with /v1
	taken   bool   // the default port was not free
	open    bool   // other machines can reach it
	dir     string // holds the store
	model   *demoModel
	app     *app
	cancel  context.CancelFunc
	stopped chan struct{}
	err     error // of serving; to be read after stopped
}

// startDemo starts the model, and mnemo before it with a store that is gone when
// the demo is closed. listen is "" for the default address.
func startDemo(ctx context.Context, p *process, listen string, pause time.Duration) (d *demo, err error) {
	d = &demo{stopped: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.model, err = startDemoModel(ctx, pause); err != nil {
		return d, err
	}
	if d.dir, err = os.MkdirTemp("", "mnemo-demo-"); err != nil {
		return d, err
	}
	address := listen
	if address == "" {
		address = demoListen
	}
	err = d.assemble(ctx, p, address)
	if busy := new(net.OpError); listen == "" && errors.As(err, &busy) && busy.Op == "listen" {
		d.taken = true
		err = d.assemble(ctx, p, demoAny)
	}
	if err != nil {
		return d, err
	}
	serving, cancel := context.WithCancel(ctx)
	d.cancel = cancel
	go func() {
		defer close(d.stopped)
		d.err = d.app.run(serving)
	}()
	return d, nil
}

// close lets mnemo come to its end and removes what the demo stored.
func (d *demo) close() error {
	var failures []error
	if d.cancel != nil {
		d.cancel()
		<-d.stopped
		failures = append(failures, d.err)
	}
	if d.model != nil {
		failures = append(failures, d.model.close())
	}
	if d.dir != "" {
		failures = append(failures, os.RemoveAll(d.dir))
	}
	return errors.Join(failures...)
}

// Private

// assemble puts mnemo together and listens.
func (d *demo) assemble(ctx context.Context, p *process, listen string) error {
	c, err := config.Load(config.Sources{Flags: map[string]string{
		"listen":    listen,
		"upstream":  d.model.url(),
		"store":     "sqlite:" + filepath.Join(d.dir, "demo.db"),
		"auth":      config.AuthNone,
		"log-level": "warn",
	}})
	if err != nil {
		return err
	}
	if err := priceDemo(c); err != nil {
		return err
	}
	if d.app, err = newApp(ctx, c, p.getenv, p.stderr); err != nil {
		return err
	}
	d.open = !c.Loopback()
	d.url, err = reachable(d.app.url())
	return err
}

// reachable is the base URL for a client on this machine.
func reachable(listening string) (string, error) {
	u, err := url.Parse(listening)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return u.JoinPath("v1").String(), nil
}

func (d *demo) introduce(p *process) {
	if d.taken {
		fmt.Fprintf(p.stdout, "%s is taken, so the demo uses a free port; --listen chooses another.\n\n", demoListen)
	}
	if d.open {
		fmt.Fprintf(p.stdout, "Other machines can reach this demo, and anybody may call it.\n\n")
	}
	fmt.Fprintf(p.stdout, `client  keeps nothing; sends its newest message and a session id
mnemo   %s
model   %s (built in; knows only the messages that it receives)
`, d.url, d.model.url())
}
