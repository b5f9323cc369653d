package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestMnemo_lets_streams_end_when_it_is_told_to_stop(t *testing.T) {
	const streams = 4
	b, up := sqliteBackend(t), newFakeModel(t)
	m := serve(t, b.setup(up))
	var begun []*opened
	for range streams {
		begun = append(begun, open(t, m, turn{session: "s", text: waiting, stream: true}))
	}
	m.terminate(t)
	if line := m.log.wait(t, `"msg":"draining"`); gjson.Get(line, "in_flight").Int() != streams {
		t.Errorf("it says %s", line)
	}
	wantRefused(t, m)
	close(up.ready)
	for _, o := range begun {
		if rest, err := io.ReadAll(o.rest); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Errorf("the stream ends with %s, %v", rest, err)
		}
	}
	if code := m.wait(t); code != exitOK {
		t.Errorf("exits with %d; its log:\n%s", code, m.log)
	}
	if lines := m.log.all(`"msg":"request"`); len(lines) != streams {
		t.Errorf("its log has %d requests, want %d", len(lines), streams)
	}
	again := serve(t, b.setup(up))
	a := again.says(t, turn{session: "s", text: "Go on."}, heard("Go on."))
	if got := a.header.Get("X-Memory-Turns"); got != "4" {
		t.Errorf("%s of %d turns were kept", got, streams)
	}
}

func TestMnemo_cuts_streams_that_outlast_the_drain(t *testing.T) {
	b, up := sqliteBackend(t), newFakeModel(t)
	o := b.setup(up)
	o.file += "drain: 200ms\n"
	m := serve(t, o)
	begun := open(t, m, turn{session: "s", text: waiting, stream: true})
	m.terminate(t)
	if rest, err := io.ReadAll(begun.rest); err == nil || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("a stream that was cut seems to be whole: %s", rest)
	}
	if code := m.wait(t); code != exitOK {
		t.Errorf("exits with %d; its log:\n%s", code, m.log)
	}
	m.log.wait(t, "calls were cut at shutdown")
}

func TestMnemo_ends_at_once_when_it_is_told_twice(t *testing.T) {
	m := serve(t, sqliteBackend(t).setup(newFakeModel(t)))
	begun := open(t, m, turn{session: "s", text: waiting, stream: true})
	m.terminate(t)
	m.log.wait(t, `"msg":"draining"`)
	m.terminate(t)
	if _, err := io.ReadAll(begun.rest); err == nil {
		t.Error("a stream that was cut seems to be whole")
	}
	if code := m.wait(t); code == exitOK {
		t.Error("exits with 0")
	}
}

// A mnemo whose log nobody reads works on, and can be stopped.
func TestMnemo_does_not_wait_for_who_reads_its_log(t *testing.T) {
	const calls = 500 // more than a pipe holds
	up := newFakeModel(t)
	m := serve(t, setup{args: []string{"--upstream", up.url, "--log-level", "debug"}, deaf: true})
	for range calls {
		if a, err := m.ask(t.Context(), turn{text: "Hello."}); err != nil || a.text != heard("Hello.") {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
	}
	m.terminate(t)
	if code := m.wait(t); code != exitFailed {
		t.Errorf("exits with %d: somebody took its log, or it keeps quiet about what it could not write", code)
	}
}

// An opened answer is a stream that has begun.
type opened struct{ rest *bufio.Reader }

func open(t *testing.T, m *mnemo, q turn) *opened {
	t.Helper()
	response, err := m.begin(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	o := &opened{bufio.NewReader(response.Body)}
	if line, err := o.rest.ReadString('\n'); err != nil || !strings.Contains(line, "You") {
		t.Fatalf("the stream begins with %s, %v", line, err)
	}
	return o
}

// wantRefused waits until nobody accepts connections any more: the log tells that
// the drain begins, nothing tells that the listener is closed.
func wantRefused(t *testing.T, m *mnemo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(m.url, "http://"))
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	t.Error("new connections are accepted during the drain")
}
