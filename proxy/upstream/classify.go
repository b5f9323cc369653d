package upstream

import (
	"errors"
	"net"
	"net/http"
)

// Outcomes of an attempt.
const (
	OutcomeOK          = "ok"
	OutcomeClientError = "client_error"  // a 4xx that is the request's own fault
	OutcomeRateLimited = "rate_limited"  // 429
	OutcomeRefused     = "refused"       // 401, 403; 402 or 429 when the key's money is used up
	OutcomeServerError = "server_error"  // 5xx, or an answer that is none
	OutcomeUnreachable = "unreachable"   // no connection, or one that broke before the head
	OutcomeTimeout     = "timeout"       // no head in time, or no content
	OutcomeClientGone  = "client_gone"   // the client left before the head
	OutcomeOutrun      = "outrun"        // another candidate spoke first
	OutcomeBadUpload   = "broken_upload" // the client's body broke off
)

// An Outcome is the fate of an answer's body.
type Outcome uint8

// The outcomes that Answer.Finish takes.
const (
	Completed  Outcome = iota // the body was read to its end
	Cut                       // reading failed or stalled: the upstream's fault
	ClientGone                // nobody wanted the rest
)

// Private

type keyEffect uint8

const (
	keyGood keyEffect = iota
	keyUnknown
	keyCools
	keyOut
)

type breakerEffect uint8

const (
	countSuccess breakerEffect = iota
	countFailure
	countNothing
)

type retryRule uint8

const (
	retryNever     retryRule = iota
	retryAgain               // after a pause, here or elsewhere
	retryElsewhere           // at a candidate that is not silent
	retryNextKey             // with another key, or with this one when it has cooled
)

// A verdict says who is to blame for an attempt, and what follows.
type verdict struct {
	outcome string
	key     keyEffect
	breaker breakerEffect
	retry   retryRule
	idle    bool // the upstream did no work for it, so that repeating it is safe for any method
}

// aside is the verdict on a call of which the others must not suffer.
func (v verdict) aside() verdict {
	if v.key == keyGood && v.breaker != countFailure {
		return v
	}
	return verdict{outcome: v.outcome, key: keyUnknown, breaker: countNothing, retry: retryNever}
}

// A result is what an attempt came to: an answer's status, or an error.
type result struct {
	status int
	err    error // of RoundTrip
	cause  error // of the attempt's context: one of our limits
	left   bool  // the caller's context is done
	upload bool  // the client's body broke off, or the request cannot be sent at all
	pooled bool  // the key was one of the pool's
	fault  fault // of a 429, or of an early one
	early  bool  // what was read ahead is no answer
	whole  bool  // that was all of it, not the first events of a stream
}

// classify is the one place that tells who is to blame.
func classify(r result) verdict {
	if r.err != nil {
		return classifyError(r)
	}
	switch {
	case r.pooled && (r.status == http.StatusPaymentRequired || r.fault.unpaid()):
		return verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}
	case r.fault.unpaid():
		return verdict{OutcomeRefused, keyUnknown, countNothing, retryNever, true}
	case r.early && r.fault.limited():
		return verdict{OutcomeRateLimited, keyCools, countNothing, retryNextKey, true}
	case r.early && r.whole:
		return verdict{OutcomeServerError, keyUnknown, countFailure, retryAgain, false}
	case r.early:
		return verdict{OutcomeServerError, keyUnknown, countFailure, retryElsewhere, false}
	case r.status == http.StatusTooManyRequests:
		return verdict{OutcomeRateLimited, keyCools, countNothing, retryNextKey, true}
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		if !r.pooled {
			return verdict{OutcomeRefused, keyUnknown, countNothing, retryNever, true}
		}
		return verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}
	case r.status >= 500:
		return verdict{OutcomeServerError, keyUnknown, countFailure, retryAgain, false}
	case r.status >= 400:
		return verdict{OutcomeClientError, keyGood, countSuccess, retryNever, false}
	}
	return verdict{OutcomeOK, keyGood, countSuccess, retryNever, false}
}

func classifyError(r result) verdict {
	switch {
	case errors.Is(r.cause, errOutrun):
		return verdict{OutcomeOutrun, keyUnknown, countNothing, retryNever, false}
	case r.left:
		return verdict{OutcomeClientGone, keyUnknown, countNothing, retryNever, false}
	case r.upload:
		return verdict{OutcomeBadUpload, keyUnknown, countNothing, retryNever, false}
	case errors.Is(r.cause, errHeaders), errors.Is(r.cause, errFirstToken), errors.Is(r.cause, ErrStalled):
		return verdict{OutcomeTimeout, keyUnknown, countFailure, retryElsewhere, false}
	case errors.Is(r.cause, ErrTotal):
		return verdict{OutcomeTimeout, keyUnknown, countFailure, retryNever, false}
	}
	return verdict{OutcomeUnreachable, keyUnknown, countFailure, retryAgain, neverConnected(r.err)}
}

// classifyEnd is the breaker's view of a body's fate.
func classifyEnd(o Outcome) breakerEffect {
	switch o {
	case Completed:
		return countSuccess
	case Cut:
		return countFailure
	}
	return countNothing
}

func neverConnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}
