package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/budget"
	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// codeQuota is the code by which SDKs know that waiting for a moment is no help.
const codeQuota = "insufficient_quota"

// maxReply bounds what is expected of one choice, in tokens, whatever a client asks for.
const maxReply = 1 << 18

// Private

// An answerSize is the most that a client asks for: so many choices of so many tokens.
type answerSize struct {
	tokens  int // 0: no limit is set
	choices int // 0: one
}

// read takes a member of the request.
func (a *answerSize) read(name string, value gjson.Result) {
	switch {
	case value.Type != gjson.Number:
	case name == "max_tokens", name == "max_completion_tokens":
		a.tokens = max(a.tokens, int(value.Int()))
	case name == "n":
		a.choices = int(value.Int())
	}
}

// askWithin is ask for a call that the budgets allow.
func (x *exchange) askWithin(r *upstream.Request, size answerSize) error {
	if err := x.reserve(r, size); err != nil {
		return err
	}
	return x.ask(r)
}

// reserve asks the budgets whether the call may be made.
func (x *exchange) reserve(r *upstream.Request, size answerSize) error {
	if x.set.Budgets == nil || x.reserved {
		return nil
	}
	x.reserved = true
	reservation, verdict := x.set.Budgets.Reserve(x.ctx, budget.Call{
		Tenant: x.caller.tenant, Session: x.session, Model: r.Model, Estimate: x.set.expect(r, size),
	})
	x.reservation = reservation
	switch verdict.Action {
	case budget.Block:
		return overBudget(verdict)
	case budget.Degrade:
		if !x.set.Pool.Degrades(r.Model) {
			return overBudget(verdict)
		}
		r.Degrade, x.thrifty = true, true
	}
	return nil
}

// expect is what a call will cost, rather too much than too little: calls that run at
// the same time could spend more than is left otherwise. So it is the dearest of those
// that it may go to.
func (s *settings) expect(r *upstream.Request, size answerSize) budget.Amount {
	if size.tokens <= 0 {
		size.tokens = s.Memory.ReplyReserve
	}
	length := len(r.Body)
	if r.Stream != nil {
		length = int(max(r.Length, 0))
	}
	tokens := telemetry.Usage{Input: length/bytesPerToken + 1, Output: min(size.tokens, maxReply) * min(max(size.choices, 1), maxChoices)}
	amount := budget.Amount{Tokens: int64(tokens.Input + tokens.Output)}
	for _, to := range s.Pool.Candidates(r.Model, false) {
		amount.NanoDollars = max(amount.NanoDollars, s.cost(to.Upstream, "", to.Model, r.Model, tokens).NanoDollars)
	}
	return amount
}

func overBudget(v budget.Verdict) error {
	return &apierror.Error{Status: http.StatusTooManyRequests, Type: codeQuota, Code: codeQuota, Final: true,
		RetryAfter: max(time.Until(v.Resets), time.Second), Message: v.Message()}
}

// errOverBudget is why no summary is made.
var errOverBudget = errors.New("a budget is used up")
