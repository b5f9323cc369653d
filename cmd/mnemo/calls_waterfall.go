package main

import (
	"fmt"
	"strings"

	"mnemo/proxy/manage"
	"mnemo/proxy/upstream"
)

// waterColumns is how wide a whole call is drawn.
const waterColumns = 32

// A stretch is a part of a call's time, in milliseconds after its begin.
type stretch struct {
	name       string
	begin, end float64
	what       string
}

// A waterfall is the stretches of a call.
type waterfall []stretch

// Private

// waterfallOf is where a call's time went. Of load, compose and commit the account has
// how long they took: the first two come before the first attempt, with nothing between, and
// the last at the end.
func waterfallOf(c *manage.Call) *table {
	var w waterfall
	w.begin(c)
	head := -1.0 // when the first answer began
	for i := range c.Attempts {
		a := &c.Attempts[i]
		end := a.Start + a.Duration
		if a.Outcome == upstream.OutcomeOK && (head < 0 || end < head) {
			head = end
		}
		w = append(w, stretch{fmt.Sprintf("attempt %d", i+1), a.Start, end, attemptOf(a)})
	}
	commit := max(c.Latency-c.Phases.Commit, 0)
	if head >= 0 {
		w.add("relay", head, commit)
	}
	w.add("commit", commit, commit+c.Phases.Commit)
	return w.table(c.Latency)
}

// begin adds what there is before the first attempt.
func (w *waterfall) begin(c *manage.Call) {
	at := 0.0
	if len(c.Attempts) > 0 {
		at = max(c.Attempts[0].Start-c.Phases.Load-c.Phases.Compose, 0)
		w.add("read", 0, at)
	}
	w.add("load", at, at+c.Phases.Load)
	w.add("compose", at+c.Phases.Load, at+c.Phases.Load+c.Phases.Compose)
}

// add adds a stretch that is not empty.
func (w *waterfall) add(name string, begin, end float64) {
	if end > begin {
		*w = append(*w, stretch{name: name, begin: begin, end: end})
	}
}

// table draws the stretches on one scale.
func (w waterfall) table(latency float64) *table {
	whole := latency
	for _, s := range w {
		whole = max(whole, s.end)
	}
	scale := waterColumns / max(whole, 1e-3)
	t := &table{head: []string{"", "TOOK", milliseconds(&whole), ""}, right: []bool{1: true, 3: false}}
	t.head[2] = strings.Repeat(" ", max(waterColumns-len(t.head[2]), 0)) + t.head[2]
	for _, s := range w {
		took := s.end - s.begin
		at := 0
		if column := s.begin * scale; column > 0 {
			at = int(min(column, waterColumns-1))
		}
		left := waterColumns - at
		drawn := strings.Repeat(" ", at) + bar(took*scale/float64(left), left)
		t.rows = append(t.rows, []string{s.name, milliseconds(&took), drawn, s.what})
	}
	return t
}

// attemptOf is who was asked, and what became of it.
func attemptOf(a *manage.CallAttempt) string {
	who := listed(orNone(a.Upstream), when(a.Key != "", "key "+printable(a.Key)), printable(a.Model))
	status := when(a.Status > 0, fmt.Sprint(a.Status)+" ")
	what := listed(
		status+orNone(a.Outcome), when(a.Breaker != "", "breaker "+printable(a.Breaker)),
		when(a.Hedge, "hedge"), when(a.Resume, "resumed the answer"))
	if a.Tokens != (manage.CallTokens{}) {
		what = listed(what, fmt.Sprintf("%d in", a.Tokens.Input), fmt.Sprintf("%d out", a.Tokens.Output),
			when(!a.Measured, "estimated"), when(a.USD != nil, costAt(&a.Money)), when(a.USD == nil, "unpriced"))
	}
	return who + ": " + what
}
