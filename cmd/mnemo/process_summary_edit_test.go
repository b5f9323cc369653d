package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/memory"
	"mnemo/memory/transcript"
)

// A client edits a question of which a summary is being written. What it took back
// is in no prompt and in no summary from then on, and the summary that comes is of
// what it says.
func TestMnemo_keeps_what_was_taken_back_out_of_the_summary_that_is_under_way(t *testing.T) {
	const kept = 3 // groups
	h := newHeldSummary(t)
	m := serve(t, h.setup)
	h.outgrow(t, m)
	lost := orders.FindAllString(strings.Join(h.said[h.groups[kept]:], "\n"), -1)
	lost = slices.DeleteFunc(lost, func(order string) bool { return strings.Contains(strings.Join(h.said[:h.groups[kept]], "\n"), order) })
	h.said, h.groups = h.said[:h.groups[kept]], h.groups[:kept]
	edited := h.next()
	resent := make([]string, 0, 2*kept+1)
	for _, said := range h.said {
		role, text, _ := strings.Cut(said, "   ")
		resent = append(resent, message(role, text))
	}
	resent = append(resent, message("user", edited))
	if a, err := m.call(t.Context(), h.session, strings.Join(resent, ","), false, 0); err != nil || a.status != http.StatusOK {
		t.Fatalf("the edit is answered with %d %s, %v", a.status, a.body, err)
	}
	h.groups = append(h.groups, len(h.said))
	h.said = append(h.said, "user   "+edited, "assistant   "+heard(edited))
	close(h.release)
	h.wantSettled(t, m)
	for range 20 { // beyond the budget again
		c := h.remarks(t, m, h.up, h.next(), "", true)[0]
		wantNone(t, c.body, lost...)
		if next := groupOf(codeIn(c.record)) + 1; c.first < next || (c.state == "pending") != (c.first > next) {
			t.Errorf("the record ends before group %d, %d is the first that is sent, and the summary is called %s", next, c.first, c.state)
		}
	}
	m.log.wait(t, `"reason":"done"`)
	h.wantExact(t)
}

// wantSettled waits until nobody works on the session's summary any more, which
// nothing announces: there may be none.
func (h *heldSummary) wantSettled(t *testing.T, m *mnemo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	store := h.backend.look(t)
	for {
		free, err := store.Lease(ctx, sessionKey(h.session), "the test", time.Minute)
		if err == nil && free {
			_, err = store.Lease(ctx, sessionKey(h.session), "the test", 0)
		}
		if err != nil {
			t.Fatalf("lease: %v; the log:\n%s", err, m.log)
		}
		if free {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// wantExact checks that the summary is of those turns that it says.
func (h *heldSummary) wantExact(t *testing.T) {
	t.Helper()
	store := h.backend.look(t)
	info, err := store.Info(t.Context(), sessionKey(h.session))
	if err != nil || info.Summary == nil {
		t.Fatalf("%+v, %v", info, err)
	}
	snapshot := memory.Snapshot{Summary: info.Summary}
	for stored, err := range transcript.Pages(t.Context(), store, info.Key, info.Seq) {
		if err != nil {
			t.Fatal(err)
		}
		snapshot.Turns = append(snapshot.Turns, *stored)
	}
	if err := snapshot.Settle(); err != nil || snapshot.Totals != info.Totals {
		t.Errorf("it has %+v, its turns %+v, %v", info.Totals, snapshot.Totals, err)
	}
}
