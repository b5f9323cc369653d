package proxy

import (
	"cmp"

	"go.opentelemetry.io/otel/trace"

	"mnemo/budget"
	"mnemo/ledger"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// A Cost is what tokens cost.
type Cost struct {
	NanoDollars int64
	From        telemetry.CostSource
	Known       bool // else the price of the model is not known
}

// An Address is where an upstream is reached, for traces.
type Address struct {
	Host string
	Port int
}

// An account is one chat call, or one call that writes a summary, as everybody sees it
// who counts: the trace, the metrics, the ledger and the budgets.
type account struct {
	set         *settings
	call        telemetry.ChatCall
	span        trace.Span
	trail       []upstream.Attempt
	reservation *budget.Reservation // nil: no budget is about the call
	unsent      int                 // tokens that memory left out of the prompt
	fresh       int                 // tokens of the request's new messages; 0: not known
	// count counts tokens of text that a broken stream delivered.
	count func(model, text string) int
}

// Private

// close prices the call and tells everybody. It is called when nobody waits.
func (a *account) close(s *Server) {
	a.priceAnswer()
	a.priceAttempts()
	entry := a.entry()
	a.reservation.Settle(budget.Amount{NanoDollars: entry.Cost, Tokens: entry.Usage.Input + entry.Usage.Output})
	a.call.Memory.Saved = a.unsent
	s.Telemetry.EndChat(a.span, &a.call)
	if s.Ledger != nil {
		s.Ledger.Add(entry)
	}
}

// priceAnswer says what the answer cost that the client got. What the cache answered
// used nothing.
func (a *account) priceAnswer() {
	c := &a.call
	if c.Cached {
		c.Usage, c.Cost, c.Priced = telemetry.Usage{}, 0, true
		return
	}
	if c.Usage.Source == "" {
		return
	}
	cost := a.set.cost(c.Upstream, c.ResponseModel, a.modelAt(c.Upstream), c.RequestModel, c.Usage)
	c.Cost, c.CostSource, c.Priced = cost.NanoDollars, cost.From, cost.Known
}

// modelAt is the model that an upstream was asked for last.
func (a *account) modelAt(name string) string {
	for i := len(a.trail) - 1; i >= 0; i-- {
		if a.trail[i].Upstream == name {
			return a.trail[i].Model
		}
	}
	return ""
}

// priceAttempts says what the attempts took that are billed beside the answer: they
// got the same prompt, and what they said of it was counted here.
func (a *account) priceAttempts() {
	c := &a.call
	if len(a.trail) == 0 {
		return
	}
	c.Tries = make([]telemetry.Attempt, len(a.trail))
	for i := range a.trail {
		t, from := &c.Tries[i], &a.trail[i]
		server := a.set.Addresses[from.Upstream]
		*t = telemetry.Attempt{
			Upstream: from.Upstream, Key: from.Key, Model: from.Model, Outcome: from.Outcome, Status: from.Status,
			Breaker: from.Breaker, Start: from.Start, Duration: from.Duration, Hedge: from.Hedge, Resume: from.Resume,
			Billed: from.Billed, ServerAddress: server.Host, ServerPort: server.Port,
		}
		if !t.Billed || c.Usage.Input == 0 {
			continue
		}
		t.Usage = telemetry.Usage{Source: telemetry.Estimated, Input: c.Usage.Input}
		if from.Output != "" {
			t.Usage.Output = a.count(from.Model, from.Output)
		}
		cost := a.set.cost(t.Upstream, "", t.Model, c.RequestModel, t.Usage)
		t.Cost, t.CostSource, t.Priced = cost.NanoDollars, cost.From, cost.Known
	}
}

// cost prices tokens by the first of the model's names that has a price: as it called
// itself, as the upstream was asked for it, as the client asked for it.
func (s *settings) cost(up, called, sent, asked string, u telemetry.Usage) (c Cost) {
	if s.Cost == nil {
		return Cost{}
	}
	for _, name := range [...]string{called, sent, asked} {
		if name == "" {
			continue
		}
		if c = s.Cost(up, name, u); c.Known {
			break
		}
	}
	return c
}

// entry is the call as the ledger keeps it.
func (a *account) entry() *ledger.Entry {
	c := &a.call
	e := &ledger.Entry{
		ID: c.RequestID, Time: c.Start, Operation: ledger.OperationChat, Tenant: c.Tenant, Session: c.Session,
		ModelAsked: c.RequestModel, ModelUsed: cmp.Or(c.ResponseModel, a.modelAt(c.Upstream)), Upstream: c.Upstream, Key: c.KeyLabel,
		Usage: tokensOf(&c.Usage), Measured: c.Usage.Source == telemetry.Measured,
		Latency: c.End.Sub(c.Start), Status: c.Status, Error: c.ErrorType, Stream: c.Stream, Cached: c.Cached, Degraded: c.Degraded,
		Memory: ledger.Memory{Status: c.Memory.Status, Turns: c.Memory.Turns, Tokens: c.Memory.Tokens, Dropped: c.Memory.Dropped, Summary: c.Memory.Summary},
		Phases: ledger.Phases{Load: c.Load.Duration, Compose: c.Compose.Duration, Upstream: c.UpstreamWait, Commit: c.Commit.Duration},
	}
	if c.Summary {
		e.Operation = ledger.OperationSummarize
	}
	if !c.FirstChunk.IsZero() {
		e.FirstToken = c.FirstChunk.Sub(c.Start)
	}
	for i := range c.Tries {
		e.Attempts = append(e.Attempts, a.attempt(i, e))
	}
	e.Cost, e.Priced = c.Total()
	a.compare(e)
	return e
}

// attempt is one try as the ledger keeps it. What was billed beside the answer is added
// to the entry's tokens.
func (a *account) attempt(i int, e *ledger.Entry) ledger.Attempt {
	c, t := &a.call, &a.call.Tries[i]
	out := ledger.Attempt{
		Upstream: t.Upstream, Key: t.Key, Model: t.Model, Outcome: t.Outcome, Status: t.Status, Start: t.Start.Sub(c.Start),
		Duration: t.Duration, Breaker: t.Breaker, Hedge: t.Hedge, Resume: t.Resume,
		Usage: tokensOf(&t.Usage), Cost: t.Cost, Priced: t.Priced,
	}
	switch {
	case t.Billed:
		e.Usage.Add(out.Usage)
		e.Measured = false
	case a.answered(i):
		out.Usage, out.Measured, out.Cost, out.Priced = tokensOf(&c.Usage), c.Usage.Source == telemetry.Measured, c.Cost, c.Priced
	}
	return out
}

// answered reports whether the answer is that of the i-th attempt: the last that was
// answered well.
func (a *account) answered(i int) bool {
	for j := len(a.call.Tries) - 1; j >= 0; j-- {
		if t := &a.call.Tries[j]; !t.Billed && t.Outcome == upstream.OutcomeOK {
			return j == i
		}
	}
	return false
}

// cacheFrom is the shortest prompt, in tokens, that providers keep in a cache.
const cacheFrom = 1024

// compare says what the call would have been with the whole history in its prompt.
// Then the provider's cache would hold, at best, all but what is new.
func (a *account) compare(e *ledger.Entry) {
	c := &a.call
	if a.fresh == 0 || c.Memory.Status != memoryOK || c.Usage.Source == "" || c.Cached {
		return
	}
	full := c.Usage
	full.Input += a.unsent
	full.CachedInput, full.CacheWrite = 0, 0
	plain := a.set.cost(c.Upstream, c.ResponseModel, a.modelAt(c.Upstream), c.RequestModel, full)
	e.FullKnown, e.FullInput, e.FullCost = true, int64(full.Input), plain.NanoDollars
	if full.Input >= cacheFrom {
		full.CachedInput = max(full.Input-a.fresh, 0)
	}
	cached := a.set.cost(c.Upstream, c.ResponseModel, a.modelAt(c.Upstream), c.RequestModel, full)
	e.FullCostCached = cached.NanoDollars
}

func tokensOf(u *telemetry.Usage) ledger.Usage {
	return ledger.Usage{
		Input: int64(u.Input), CachedInput: int64(u.CachedInput), CacheWrite: int64(u.CacheWrite), Output: int64(u.Output),
		Reasoning: int64(u.Reasoning), AudioInput: int64(u.AudioInput), AudioOutput: int64(u.AudioOutput),
	}
}
