package proxy

import (
	"errors"
	"net/http"
	"time"

	"mnemo/budget"
	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// codeQuota is the code by which SDKs know that waiting for a moment is no help.
const codeQuota = "insufficient_quota"

// Private

// askWithin is ask for a call that the budgets allow.
func (x *exchange) askWithin(r *upstream.Request, maxTokens int) error {
	if err := x.reserve(r, maxTokens); err != nil {
		return err
	}
	return x.ask(r)
}

// reserve asks the budgets whether the call may be made. maxTokens is the limit of the
// answer that the client set; 0: none.
func (x *exchange) reserve(r *upstream.Request, maxTokens int) error {
	if x.set.Budgets == nil || x.reserved {
		return nil
	}
	x.reserved = true
	reservation, verdict := x.set.Budgets.Reserve(x.ctx, budget.Call{
		Tenant: x.caller.tenant, Session: x.session, Model: r.Model, Estimate: x.set.estimate(r, maxTokens),
	})
	x.reservation = reservation
	switch verdict.Action {
	case budget.Block:
		return overBudget(verdict)
	case budget.Degrade:
		if !x.set.Pool.Degrades(r.Model) {
			return overBudget(verdict)
		}
		r.Degrade = true
	}
	return nil
}

// estimate is what a call will cost, rather too much than too little: calls that run at
// the same time could spend more than is left otherwise.
func (s *settings) estimate(r *upstream.Request, maxTokens int) budget.Amount {
	if maxTokens <= 0 {
		maxTokens = s.Memory.ReplyReserve
	}
	size := len(r.Body)
	if r.Stream != nil {
		size = int(max(r.Length, 0))
	}
	tokens := telemetry.Usage{Input: size/bytesPerToken + 1, Output: maxTokens}
	cost := s.cost("", "", "", r.Model, tokens)
	return budget.Amount{NanoDollars: cost.NanoDollars, Tokens: int64(tokens.Input + tokens.Output)}
}

func overBudget(v budget.Verdict) error {
	return &apierror.Error{Status: http.StatusTooManyRequests, Type: codeQuota, Code: codeQuota,
		RetryAfter: max(time.Until(v.Resets), time.Second), Message: v.Message()}
}

// errOverBudget is why no summary is made.
var errOverBudget = errors.New("a budget is used up")
