//go:build linux && !race

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Streams that stand still, with a session and without, cost next to nothing.
func TestMnemo_holds_stalled_streams_in_little_memory_and_no_time(t *testing.T) {
	const (
		streams  = 1000
		each     = 96 << 10 // bytes, at most: 36 KiB are for a request's header (limits.header)
		still    = 3 * time.Second
		busy     = still / 20 // processor time that it may take meanwhile
		duration = time.Minute
	)
	up := newStalling(t)
	fallback := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(fallback.Close)
	m := serve(t, setup{file: fmt.Sprintf(`
drain: 1s
upstreams:
  - {name: primary, url: %s}
  - {name: fallback, url: %s}
routes:
  - {model: "*", to: [{upstream: primary}, {upstream: fallback}]}
`, up.URL, fallback.URL)})
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	hold := func(from, to int) {
		var opening sync.WaitGroup
		for i := from; i < to; i++ {
			opening.Go(func() { openStalled(ctx, t, m, i) })
		}
		opening.Wait()
	}
	hold(0, 50) // what is there once and for all
	before := m.resident(t)
	hold(50, 50+streams)
	if grown := (m.resident(t) - before) / streams; grown > each {
		t.Errorf("a stalled stream holds %d bytes, want at most %d", grown, each)
	} else {
		t.Logf("a stalled stream holds %d bytes", grown)
	}
	start := m.worked(t)
	<-time.After(still)
	if worked := m.worked(t) - start; worked > busy {
		t.Errorf("%d stalled streams took %v of processor time in %v", streams, worked, still)
	} else {
		t.Logf("%v of processor time in %v", worked, still)
	}
	if status, _, err := m.get(ctx, "/healthz"); status != http.StatusOK {
		t.Errorf("healthz = %d, %v", status, err)
	}
}

// newStalling is an upstream whose streams say a word and no more.
func newStalling(t *testing.T) *httptest.Server {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, `data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"One"},"finish_reason":null}]}`+"\n\n")
		if w.(http.Flusher).Flush(); r.Context().Err() == nil {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(func() {
		up.CloseClientConnections()
		up.Close()
	})
	return up
}

// openStalled returns when the stream has begun; the connection stays open until the
// test ends.
func openStalled(ctx context.Context, t *testing.T, m *mnemo, i int) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(m.url, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = conn.Close() })
	session := ""
	if i%2 == 0 {
		session = fmt.Sprintf("X-Session-ID: stalled-%d\r\n", i)
	}
	const body = `{"model":"m","messages":[{"role":"user","content":"count"}],"stream":true}`
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", clientKey, session, len(body), body)
	for lines := bufio.NewReaderSize(conn, 512); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Error(err)
			return
		}
		if strings.Contains(line, "One") {
			return
		}
	}
}

// resident is the memory that the process holds, in bytes.
func (m *mnemo) resident(t *testing.T) int {
	t.Helper()
	return m.stat(t, "statm", 1) * os.Getpagesize()
}

// worked is the processor time that the process took.
func (m *mnemo) worked(t *testing.T) time.Duration {
	t.Helper()
	const tick = 10 * time.Millisecond // of Linux' clock for processes
	return time.Duration(m.stat(t, "stat", 13)+m.stat(t, "stat", 14)) * tick
}

func (m *mnemo) stat(t *testing.T, file string, field int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.cmd.Process.Pid, file))
	if err != nil {
		t.Fatal(err)
	}
	// The program's name, the second field of stat, may hold spaces.
	_, rest, found := strings.Cut(string(text), ") ")
	if found {
		text, field = []byte(rest), field-2
	}
	n, err := strconv.Atoi(strings.Fields(string(text))[field])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
