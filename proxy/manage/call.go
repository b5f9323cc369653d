package manage

import (
	"net/http"

	"mnemo/ledger"
)

// A Call is the account of one call.
type Call struct {
	ID         string     `json:"id"`   // its X-Request-ID; a client may choose it, and choose it twice
	UID        string     `json:"uid"`  // tells it from all others
	Time       Time       `json:"time"` // when it began
	Operation  string     `json:"operation"`
	Tenant     string     `json:"tenant"`
	Session    string     `json:"session"`     // "": none, or it was deleted
	ModelAsked string     `json:"model_asked"` // as the client named it
	ModelUsed  string     `json:"model_used"`  // "": none was reached
	Upstream   string     `json:"upstream"`    // the one whose answer the client got
	Key        string     `json:"key"`         // its label
	Status     int        `json:"status"`      // what the client got; 499 if it left
	Error      string     `json:"error"`       // a word; "": none
	Stream     bool       `json:"stream"`
	Cached     bool       `json:"cached"`         // answered from the cache of answers
	Degraded   bool       `json:"degraded"`       // by a cheaper model than asked for
	Latency    float64    `json:"latency_ms"`     // to the answer's end
	FirstToken *float64   `json:"first_token_ms"` // nil: it was no stream
	Tokens     CallTokens `json:"tokens"`         // of all attempts together
	Measured   bool       `json:"measured"`       // the upstreams reported all of them; else they are, in part, estimates
	Money
	Attempts     []CallAttempt `json:"attempts"`
	Phases       CallPhases    `json:"phases"`
	Memory       CallMemory    `json:"memory"`
	WholeHistory *WholeHistory `json:"whole_history"` // nil: it is not known
}

// A CallAttempt is one call of an upstream.
type CallAttempt struct {
	Upstream string     `json:"upstream"`
	Key      string     `json:"key"` // its label
	Model    string     `json:"model"`
	Outcome  string     `json:"outcome"`  // a word
	Status   int        `json:"status"`   // 0: there was no answer
	Start    float64    `json:"start_ms"` // after the call's
	Duration float64    `json:"duration_ms"`
	Breaker  string     `json:"breaker"` // its state when the attempt began
	Hedge    bool       `json:"hedge"`   // it was started beside another
	Resume   bool       `json:"resume"`  // it went on where another broke off
	Tokens   CallTokens `json:"tokens"`
	Measured bool       `json:"measured"`
	Money
}

// CallPhases is where a call's time went.
type CallPhases struct {
	Load     float64 `json:"load_ms"`
	Compose  float64 `json:"compose_ms"`
	Upstream float64 `json:"upstream_ms"` // waiting for its answer to begin
	Commit   float64 `json:"commit_ms"`
}

// CallMemory is what memory did for a call.
type CallMemory struct {
	Status  string `json:"status"`  // ok, off or bypassed; "": it was not asked
	Turns   int    `json:"turns"`   // stored groups that were sent
	Tokens  int    `json:"tokens"`  // that memory added to the prompt
	Dropped int    `json:"dropped"` // stored groups that were left out
	Summary string `json:"summary"` // none, used or pending; "": memory was not asked
}

// A CallList is the calls with one id, the newest first.
type CallList struct {
	Calls []Call `json:"calls"`
}

// Private

// call shows the calls with an id.
func (a *api) call(r *request) error {
	scope, err := r.scope()
	if err != nil {
		return err
	}
	id, err := r.pathID()
	if err != nil || id == "" {
		return clientError(http.StatusBadRequest, "invalid_call_id", "id", "the id of a call is its X-Request-ID, percent-encoded")
	}
	if a.Ledger == nil {
		return noLedger()
	}
	ctx, cancel := within(storeTimeout)
	defer cancel()
	entries, err := a.Ledger.Call(ctx, scope, id)
	if err != nil {
		return ledgerError(err)
	}
	if len(entries) == 0 {
		return clientError(http.StatusNotFound, "call_not_found", "id",
			"there is no call with this X-Request-ID: calls are written a moment after they end, and old ones are kept as sums only")
	}
	list := CallList{Calls: make([]Call, len(entries))}
	for i := range entries {
		list.Calls[i] = callOf(&entries[i])
	}
	return r.answer(http.StatusOK, list)
}

func callOf(e *ledger.Entry) Call {
	c := Call{
		ID: e.ID, UID: e.UID.String(), Time: Time{e.Time}, Operation: e.Operation, Tenant: e.Tenant, Session: e.Session,
		ModelAsked: e.ModelAsked, ModelUsed: e.ModelUsed, Upstream: e.Upstream, Key: e.Key,
		Status: e.Status, Error: e.Error, Stream: e.Stream, Cached: e.Cached, Degraded: e.Degraded,
		Latency: inMS(e.Latency), Tokens: CallTokens(e.Usage), Measured: e.Measured, Money: money(e.Cost, e.Priced),
		Attempts: make([]CallAttempt, len(e.Attempts)),
		Phases: CallPhases{
			Load: inMS(e.Phases.Load), Compose: inMS(e.Phases.Compose), Upstream: inMS(e.Phases.Upstream), Commit: inMS(e.Phases.Commit),
		},
		Memory: CallMemory(e.Memory),
	}
	if e.FirstToken > 0 {
		c.FirstToken = milliseconds(e.FirstToken)
	}
	sums := ledger.SumsOf(e)
	c.WholeHistory = historyOf(&sums.Full)
	for i := range e.Attempts {
		t := &e.Attempts[i]
		c.Attempts[i] = CallAttempt{
			Upstream: t.Upstream, Key: t.Key, Model: t.Model, Outcome: t.Outcome, Status: t.Status,
			Start: inMS(t.Start), Duration: inMS(t.Duration), Breaker: t.Breaker, Hedge: t.Hedge, Resume: t.Resume,
			Tokens: CallTokens(t.Usage), Measured: t.Measured, Money: money(t.Cost, t.Priced),
		}
	}
	return c
}
