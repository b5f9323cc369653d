package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A summary that is being written when the process is told to stop is stored.
func TestMnemo_stores_the_summary_that_is_under_way_when_it_is_told_to_stop(t *testing.T) {
	h := newHeldSummary(t)
	m := serve(t, h.setup)
	h.outgrow(t, m)
	stream := open(t, m, turn{session: "other", text: waiting, stream: true})
	m.terminate(t)
	m.log.wait(t, `"msg":"draining"`)
	close(h.up.ready)
	if rest, err := io.ReadAll(stream.rest); err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream ends with %s, %v", rest, err)
	}
	select { // nothing else keeps it
	case <-m.exited:
		t.Error("it did not wait for the summary")
	case <-time.After(300 * time.Millisecond):
	}
	close(h.release)
	h.wantStopped(t, m)
	m.log.wait(t, `"reason":"done"`)
	again := serve(t, h.setup)
	if c := h.remarks(t, again, h.up, h.next(), "", true)[0]; c.state != "used" || c.record != h.good() {
		t.Errorf("the summary is %s, %q", c.state, c.record)
	}
}

// One that is not written in time is given up, and another process can begin anew
// at once.
func TestMnemo_gives_up_the_summary_that_outlasts_the_drain(t *testing.T) {
	h := newHeldSummary(t)
	h.setup.file += "drain: 200ms\n"
	m := serve(t, h.setup)
	h.outgrow(t, m)
	m.terminate(t)
	h.wantStopped(t, m)
	m.log.wait(t, "summaries were cut at shutdown")
	close(h.release)
	again := serve(t, h.setup)
	if c := h.remarks(t, again, h.up, h.next(), "", false)[0]; c.state != "pending" || c.record != "" {
		t.Errorf("the summary is %s, %q", c.state, c.record)
	}
	again.log.wait(t, `"reason":"done"`)
	if c := h.remarks(t, again, h.up, h.next(), "", false)[0]; c.record != h.good() {
		t.Errorf("the record is %q, want %q", c.record, h.good())
	}
}

// A heldSummary is a session whose summary does not come before it is released.
type heldSummary struct {
	rivalry
	spoiler
	setup   setup
	backend backend
	up      *scribe
	asked   chan struct{} // closed when the summary is asked for
	release chan struct{}
}

func newHeldSummary(t *testing.T) *heldSummary {
	h := &heldSummary{backend: sqliteBackend(t), asked: make(chan struct{}), release: make(chan struct{})}
	h.session, h.rivalry.rng, h.outcomes = "held", rand.New(rand.NewPCG(9, 9)), map[string]int{}
	h.up = newScribe(t, func(w http.ResponseWriter, r *http.Request, shown string) {
		select {
		case <-h.release:
		default:
			close(h.asked)
		}
		select {
		case <-h.release:
			h.answer(w, r, shown)
		case <-r.Context().Done():
		}
	})
	h.setup = h.up.setup(h.backend, badBudget, 300, "")
	return h
}

// outgrow makes remarks until a summary is asked for.
func (h *heldSummary) outgrow(t *testing.T, m *mnemo) {
	t.Helper()
	for h.remarks(t, m, h.up, h.next(), "", false)[0].state != "pending" {
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-h.asked:
	case <-ctx.Done():
		t.Fatal("nobody asks for a summary")
	}
}

// wantStopped waits for the end of the process and looks at the log that it leaves.
func (h *heldSummary) wantStopped(t *testing.T, m *mnemo) {
	t.Helper()
	if code := m.wait(t); code != exitOK {
		t.Errorf("exits with %d; its log:\n%s", code, m.log)
	}
	store := h.backend.look(t)
	if stored := wholeLog(t, store, h.session); len(stored) != len(h.groups) {
		t.Errorf("%d turns are stored, want %d", len(stored), len(h.groups))
	}
}

// good is the last summary that was written.
func (h *heldSummary) good() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.spoiler.good) == 0 {
		return fmt.Sprint("nothing of ", h.session)
	}
	return h.spoiler.good[len(h.spoiler.good)-1]
}
