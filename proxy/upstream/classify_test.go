package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

func TestClassify_blames_who_is_to_blame(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, test := range map[string]struct {
		result result
		want   verdict
	}{
		"connect error":                {result{err: dial}, verdict{OutcomeUnreachable, keyUnknown, countFailure, retryAgain, true}},
		"reset":                        {result{err: reset}, verdict{OutcomeUnreachable, keyUnknown, countFailure, retryAgain, false}},
		"closed before the head":       {result{err: io.ErrUnexpectedEOF}, verdict{OutcomeUnreachable, keyUnknown, countFailure, retryAgain, false}},
		"header timeout":               {result{err: errHeaders, cause: errHeaders}, verdict{OutcomeTimeout, keyUnknown, countFailure, retryElsewhere, false}},
		"total timeout":                {result{err: ErrTotal, cause: ErrTotal}, verdict{OutcomeTimeout, keyUnknown, countFailure, retryNever, false}},
		"500":                          {result{status: 500}, verdict{OutcomeServerError, keyUnknown, countFailure, retryAgain, false}},
		"503":                          {result{status: 503, pooled: true}, verdict{OutcomeServerError, keyUnknown, countFailure, retryAgain, false}},
		"429":                          {result{status: 429, pooled: true}, verdict{OutcomeRateLimited, keyCools, countNothing, retryNextKey, true}},
		"429 of the client's own key":  {result{status: 429}, verdict{OutcomeRateLimited, keyCools, countNothing, retryNextKey, true}},
		"402":                          {result{status: 402, pooled: true}, verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}},
		"402 of the client's own key":  {result{status: 402}, verdict{OutcomeClientError, keyGood, countSuccess, retryNever, false}},
		"429, nothing left to pay":     {result{status: 429, pooled: true, fault: "insufficient_quota"}, verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}},
		"429, the client cannot pay":   {result{status: 429, fault: "insufficient_quota"}, verdict{OutcomeRefused, keyUnknown, countNothing, retryNever, true}},
		"an early error event":         {result{status: 200, early: true}, verdict{OutcomeServerError, keyUnknown, countFailure, retryElsewhere, false}},
		"an early limit":               {result{status: 200, early: true, fault: "rate_limit_exceeded"}, verdict{OutcomeRateLimited, keyCools, countNothing, retryNextKey, true}},
		"early, nothing left to pay":   {result{status: 200, early: true, pooled: true, fault: "insufficient_quota"}, verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}},
		"another spoke first":          {result{err: errOutrun, cause: errOutrun}, verdict{OutcomeOutrun, keyUnknown, countNothing, retryNever, false}},
		"stalled before it spoke":      {result{err: ErrStalled, cause: ErrStalled}, verdict{OutcomeTimeout, keyUnknown, countFailure, retryElsewhere, false}},
		"401":                          {result{status: 401, pooled: true}, verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}},
		"403":                          {result{status: 403, pooled: true}, verdict{OutcomeRefused, keyOut, countNothing, retryNextKey, true}},
		"401 of the client's own key":  {result{status: 401}, verdict{OutcomeRefused, keyUnknown, countNothing, retryNever, true}},
		"other 4xx":                    {result{status: 400, pooled: true}, verdict{OutcomeClientError, keyGood, countSuccess, retryNever, false}},
		"client left":                  {result{err: context.Canceled, left: true}, verdict{OutcomeClientGone, keyUnknown, countNothing, retryNever, false}},
		"client left during a timeout": {result{err: errHeaders, cause: errHeaders, left: true}, verdict{OutcomeClientGone, keyUnknown, countNothing, retryNever, false}},
		"upload broke off":             {result{err: errors.New("x"), upload: true}, verdict{OutcomeBadUpload, keyUnknown, countNothing, retryNever, false}},
		"2xx":                          {result{status: 200, pooled: true}, verdict{OutcomeOK, keyGood, countSuccess, retryNever, false}},
		"3xx":                          {result{status: 307}, verdict{OutcomeOK, keyGood, countSuccess, retryNever, false}},
	} {
		if got := classify(test.result); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestClassify_counts_a_cut_against_the_upstream_and_a_leaving_client_against_nobody(t *testing.T) {
	for outcome, want := range map[Outcome]breakerEffect{Completed: countSuccess, Cut: countFailure, ClientGone: countNothing} {
		if got := classifyEnd(outcome); got != want {
			t.Errorf("outcome %d counts as %d, want %d", outcome, got, want)
		}
	}
}
