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
	s           *Server
	set         *settings
	call        telemetry.ChatCall
	span        trace.Span
	trail       []upstream.Attempt
	reservation *budget.Reservation // nil: no budget is about the call
	unsent      int                 // tokens that memory left out of the prompt
	fresh       int                 // tokens of the request's new messages; 0: not known

	sent    string // the body that went up; "" if it was too long to be kept
	bulk    int64  // the bytes of one that was not kept
	rough   bool   // somebody waits: bytes are counted, not tokens
	counted int    // tokens of the prompt; 0: they were not counted
}

// Private

// close prices the call and tells everybody. It is called when nobody waits.
func (a *account) close() {
	a.priceAnswer()
	a.priceAttempts()
	entry := a.entry()
	a.reservation.Settle(budget.Amount{NanoDollars: entry.Cost, Tokens: entry.Usage.Input + entry.Usage.Output})
	a.call.Memory.Saved = a.unsent
	a.s.Telemetry.EndChat(a.span, &a.call)
	if a.s.Ledger != nil {
		a.s.Ledger.Add(entry)
	}
}

// priceAnswer says what the answer cost that the client got. What the cache answered
// used nothing. Of a stream that others went on with the answer is what the last of
// them is charged for; the attempts before it have theirs.
func (a *account) priceAnswer() {
	c := &a.call
	c.Attempts = max(c.Attempts, len(a.trail))
	if c.Cached {
		c.Usage, c.Cost, c.Priced = telemetry.Usage{}, 0, true
		return
	}
	if t := a.answered(); t != nil {
		c.Upstream, c.KeyLabel = t.Upstream, t.Key
		a.parted(t.Added)
	}
	if c.Usage.Source == "" {
		return
	}
	cost := a.cost(c.Usage)
	c.Cost, c.CostSource, c.Priced = cost.NanoDollars, cost.From, cost.Known
}

// parted takes out of the answer's usage what the client got of others' texts, which
// the last attempt was given as its prompt's end.
func (a *account) parted(added int) {
	u := &a.call.Usage
	if added == 0 {
		return
	}
	u.Output = max(0, u.Output-added)
	prefix := added + a.s.Counter(a.call.RequestModel).Message(emptyReply)
	if u.Source == telemetry.Estimated {
		u.Input += prefix
	} else {
		a.counted = max(0, u.Input-prefix) // what the others got
	}
}

// answered is the attempt whose answer the call got, or nil.
func (a *account) answered() *upstream.Attempt {
	if a.call.Cached {
		return nil
	}
	for i := len(a.trail) - 1; i >= 0; i-- {
		if a.trail[i].Answered {
			return &a.trail[i]
		}
	}
	return nil
}

// cost prices tokens of the model that answered.
func (a *account) cost(u telemetry.Usage) Cost {
	c, called, sent := &a.call, a.call.ResponseModel, ""
	if t := a.answered(); t != nil {
		if sent = t.Model; t.Resume {
			called = "" // it is the name that another gave itself
		}
	}
	return a.set.cost(c.Upstream, called, sent, c.RequestModel, u)
}

// model is the one that was used: as it called itself, or as its upstream knows it.
func (a *account) model() string {
	switch t := a.answered(); {
	case t != nil && t.Resume:
		return t.Model
	case t != nil:
		return cmp.Or(a.call.ResponseModel, t.Model)
	case len(a.trail) > 0:
		return a.trail[len(a.trail)-1].Model
	}
	return a.call.ResponseModel
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
		if !t.Billed {
			continue
		}
		t.Usage = a.take(from)
		cost := a.set.cost(t.Upstream, "", t.Model, c.RequestModel, t.Usage)
		t.Cost, t.CostSource, t.Priced = cost.NanoDollars, cost.From, cost.Known
	}
}

// take is what an attempt took beside the answer.
func (a *account) take(t *upstream.Attempt) telemetry.Usage {
	var spoilt reply
	body := closed(t.Spoilt)
	if spoilt.whole(body); spoilt.measured {
		return spoilt.usage
	}
	u := telemetry.Usage{Source: telemetry.Estimated, Input: a.prompt(), Output: a.countText(t.Model, t.Output)}
	for _, message := range wholeMessages(body) {
		u.Output += a.countReply(t.Model, message)
	}
	return u
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
		ModelAsked: c.RequestModel, ModelUsed: a.model(), Upstream: c.Upstream, Key: c.KeyLabel,
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
		out.Measured = t.Usage.Source == telemetry.Measured
		e.Measured = e.Measured && out.Measured
	case a.answered() == &a.trail[i]:
		out.Usage, out.Measured, out.Cost, out.Priced = tokensOf(&c.Usage), c.Usage.Source == telemetry.Measured, c.Cost, c.Priced
	}
	return out
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
	plain := a.cost(full)
	e.FullKnown, e.FullInput, e.FullCost = true, int64(full.Input), plain.NanoDollars
	if full.Input >= cacheFrom {
		full.CachedInput = max(full.Input-a.fresh, 0)
	}
	cached := a.cost(full)
	e.FullCostCached = cached.NanoDollars
}

func tokensOf(u *telemetry.Usage) ledger.Usage {
	return ledger.Usage{
		Input: int64(u.Input), CachedInput: int64(u.CachedInput), CacheWrite: int64(u.CacheWrite), Output: int64(u.Output),
		Reasoning: int64(u.Reasoning), AudioInput: int64(u.AudioInput), AudioOutput: int64(u.AudioOutput),
	}
}
