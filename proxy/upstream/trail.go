package upstream

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/sony/gobreaker/v2"
)

// An Attempt is one call of one upstream: what OnAttempt is told, and the trail
// of a call consists of.
type Attempt struct {
	Upstream, Key, Model string // labels; Key is "" for the client's own key
	Start                time.Time
	Duration             time.Duration // to the answer's head, or to the failure
	Outcome              string        // one of the Outcome constants
	Status               int           // of the answer; 0 if there was none
	Breaker              string        // its state when it let the attempt pass: closed or half-open
	Hedge                bool          // started beside another
	Resume               bool          // goes on where the stream of another broke
	// Answered says that the call's answer is this one's: the last of those that the
	// client got something of. A call without an answer has no such attempt.
	Answered bool
	// Billed says that the upstream may charge for the attempt although its answer
	// is not the call's: its head was a 2xx, or it was sent and then ended from here,
	// because another spoke first, it took too long or the client left. What OnAttempt
	// is told of an answer that fails before it speaks takes into account that nothing
	// better may come. Of attempts that are no chat calls only the head is known.
	Billed bool
	Output string // what its stream wrote that is not in the answer's usage; "": nothing
	// Spoilt is its answer, no stream, which was given up because it was none or broke
	// off: what came of the body, at most 1 MiB of it.
	Spoilt string
	// Added is how many tokens of others' texts, which this one continued, the usage
	// that the client got of it counts beside its own.
	Added int
}

// Trail lists the call's attempts in the order of their starts, the one that
// answered among them. It is complete once the answer is finished. It must not be
// asked for while the body is read, nor changed.
func (a *Answer) Trail() []Attempt {
	if a.flight == nil {
		return nil
	}
	return a.flight.trail.attempts
}

// Private

// A trail is written by who makes the attempts, one at a time.
type trail struct {
	attempts []Attempt
	first    [1]Attempt // most calls need no more
}

// begin records the start of an attempt.
func (c *call) begin(f *flight, chosen *choice) {
	if c.trail == nil {
		c.trail = new(trail)
		c.trail.attempts = c.trail.first[:0]
	}
	f.trail, f.place = c.trail, len(c.trail.attempts)
	c.trail.attempts = append(c.trail.attempts, Attempt{
		Upstream: f.answer.Upstream, Key: f.answer.Key, Model: chosen.model, Start: f.began, Breaker: chosen.breaker,
		Resume: !c.resumed.IsZero(),
	})
}

// record is the flight's place in the trail. It is not to be kept.
func (f *flight) record() *Attempt { return &f.trail.attempts[f.place] }

// settle records what an attempt came to.
func (l *leg) settle(v verdict, r result) Attempt {
	a := l.f.record()
	a.Duration, a.Outcome, a.Status = l.took, v.outcome, r.status
	succeeded := r.status >= http.StatusOK && r.status < http.StatusMultipleChoices
	if l.found.kind == failed && l.found.whole {
		a.Spoilt = string(l.f.shelf[:min(len(l.f.shelf), maxTold)])
	}
	a.Billed = succeeded && v.outcome != OutcomeOK || endedHere(v.outcome) && l.f.sent.Load()
	return *a
}

// endedHere reports whether an attempt ended while its upstream may have been at work.
func endedHere(outcome string) bool {
	return outcome == OutcomeOutrun || outcome == OutcomeTimeout || outcome == OutcomeClientGone
}

// answers makes the flight's answer the call's.
func (f *flight) answers() {
	for i := range f.trail.attempts {
		f.trail.attempts[i].Answered = i == f.place
	}
}

// list is nil if no attempt was made.
func (t *trail) list() []Attempt {
	if t == nil {
		return nil
	}
	return t.attempts
}

// watched notes that the request was sent: an attempt may end before.
func (f *flight) watched(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { f.sent.Store(info.Err == nil) },
	})
}

// admittedBy is the state in which a breaker let a call pass.
func admittedBy(c *circuit) string {
	if gobreaker.State(c.state.Load()) == gobreaker.StateHalfOpen {
		return gobreaker.StateHalfOpen.String()
	}
	return gobreaker.StateClosed.String()
}
