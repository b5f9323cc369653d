package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A reloadable is a mnemo whose file is changed while it runs.
type reloadable struct {
	*mnemo
	path string
}

// serveFile starts a process with a file.
func serveFile(t *testing.T, text string) *reloadable {
	t.Helper()
	dir := t.TempDir()
	return &reloadable{mnemo: serve(t, setup{dir: dir, file: text}), path: filepath.Join(dir, "mnemo.yaml")}
}

// write replaces the file, as careful editors do.
func (r *reloadable) write(t *testing.T, text string) {
	t.Helper()
	saveFile(t, r.path+".new", text)
	if err := os.Rename(r.path+".new", r.path); err != nil {
		t.Fatal(err)
	}
}

// reload replaces the file and waits until it is in force.
func (r *reloadable) reload(t *testing.T, text string) {
	t.Helper()
	before := len(r.log.all(`"configuration reloaded"`))
	r.write(t, text)
	r.log.waitAll(t, `"configuration reloaded"`, before+1)
}

// refuses replaces the file and waits until it is said to be wrong.
func (r *reloadable) refuses(t *testing.T, text string) (line string) {
	t.Helper()
	before := len(r.log.all("the configuration is not taken over"))
	r.write(t, text)
	return r.log.waitAll(t, "the configuration is not taken over", before+1)[before]
}

// hangUp sends SIGHUP.
func (r *reloadable) hangUp(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// metric is what /metrics says of a series, by its whole name; 0 if it is not there.
func (m *mnemo) metric(t *testing.T, series string) float64 {
	t.Helper()
	for line := range strings.Lines(m.page(t, "/metrics", http.StatusOK)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if full, _, labelled := strings.Cut(name, `{otel_scope`); labelled {
			name = full // metrics without labels of their own
		}
		if name != series {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return n
	}
	return 0
}

// settles waits until something holds that nothing announces.
func settles(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it never comes to pass that ", what)
		}
	}
}

// A doorkeeper is an upstream before another, which knows who is connected.
type doorkeeper struct {
	url    string // with /v1
	server *httptest.Server

	mu   sync.Mutex
	open map[net.Conn]bool
}

func newDoorkeeper(t *testing.T, model http.Handler) *doorkeeper {
	d := &doorkeeper{open: map[net.Conn]bool{}}
	d.server = httptest.NewUnstartedServer(model)
	d.server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch state {
		case http.StateNew:
			d.open[c] = true
		case http.StateClosed, http.StateHijacked:
			delete(d.open, c)
		}
	}
	d.server.Start()
	t.Cleanup(d.server.Close)
	d.url = d.server.URL + "/v1"
	return d
}

// connections is how many there are.
func (d *doorkeeper) connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

// hangUp closes all connections of clients that wait for nothing.
func (d *doorkeeper) hangUp() { d.server.CloseClientConnections() }
