package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Codes of an Error.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeUnreachable          = "upstream_unreachable"
	CodeCredentialsExhausted = "upstream_credentials_exhausted"
	CodeUnavailable          = "upstream_unavailable"
	CodeOverloaded           = "upstream_overloaded"
	CodeTimeout              = "upstream_timeout"
	CodeRateLimited          = "rate_limited"
	CodeClientGone           = "client_closed_request"
	CodeNoCheaper            = "no_cheaper_model" // Request.Degrade, and the route has no such candidates
)

// StatusClientGone is the status of an Error whose caller left; nobody reads it.
const StatusClientGone = 499

// Errors that reading an answer's body ends with when a limit of the upstream
// passed. Both report Timeout() true.
var (
	ErrStalled error = timeoutError("the upstream's answer stalled")
	ErrTotal   error = timeoutError("the call's time is up")
)

// An Error is a call that no upstream answered. Nothing in it is secret.
type Error struct {
	Status     int           // the HTTP status that fits
	Code       string        // one of the Code constants
	Message    string        // for the client
	RetryAfter time.Duration // when another call may succeed; 0: unknown
	Attempts   int           // how many were made
	Trail      []Attempt     // these, in the order of their starts; not to be changed
	Upstream   string        // the one that Code is about
	Err        error         // the cause, for logs; nil if there is none beyond Code
}

// Error returns the message with its cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause. A call that ended because its context did matches
// the context's error.
func (e *Error) Unwrap() error { return e.Err }

// Private

// errHeaders is the cause of an attempt that ended without a head.
var errHeaders error = timeoutError("the upstream sent no answer in time")

type timeoutError string

func (e timeoutError) Error() string { return string(e) }
func (timeoutError) Timeout() bool   { return true }

func clientGone(cause error) *Error {
	return &Error{Status: StatusClientGone, Code: CodeClientGone, Message: "the client closed the request", Err: cause}
}

func invalidRequest(what string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeInvalidRequest, Message: what}
}

func unreachable(name string, cause error) *Error {
	return &Error{Status: http.StatusBadGateway, Code: CodeUnreachable, Upstream: name, Err: cause,
		Message: fmt.Sprintf("upstream %s cannot be reached", name)}
}

func timedOut(name string, cause error) *Error {
	return &Error{Status: http.StatusGatewayTimeout, Code: CodeTimeout, Upstream: name, Err: cause,
		Message: fmt.Sprintf("upstream %s did not answer in time", name)}
}

// exhausted is the error of an upstream none of whose keys can be used: the next
// one has cooled after wait, or all are refused if wait is 0.
func exhausted(name string, wait time.Duration) *Error {
	if wait > 0 {
		return &Error{Status: http.StatusTooManyRequests, Code: CodeRateLimited, Upstream: name, RetryAfter: wait,
			Message: fmt.Sprintf("upstream %s limits the rate of every key", name)}
	}
	return &Error{Status: http.StatusBadGateway, Code: CodeCredentialsExhausted, Upstream: name,
		Message: fmt.Sprintf("upstream %s refuses the configured keys, or nothing is left to pay with; check them", name)}
}

func unavailable(name string, retryAfter time.Duration) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Upstream: name, RetryAfter: retryAfter,
		Message: fmt.Sprintf("upstream %s fails too often and is left alone for a while", name)}
}

// overloaded is the error of a call that found no place at an upstream.
func overloaded(name string, retryAfter time.Duration) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeOverloaded, Upstream: name, RetryAfter: retryAfter,
		Message: fmt.Sprintf("upstream %s serves as many calls as it may", name)}
}

// crowded is the error of a call that waited among too many of its own tenant.
func crowded(name string, retryAfter time.Duration) *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: CodeRateLimited, Upstream: name, RetryAfter: retryAfter,
		Message: fmt.Sprintf("too many calls of this client wait for upstream %s", name)}
}

// noCheaper is a limit of the caller's: it told to degrade.
func noCheaper(model string) *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: CodeNoCheaper,
		Message: fmt.Sprintf("there is no cheaper candidate for model %q", oneLine(model))}
}

// oneLine keeps what came over the wire out of the shape of a log.
func oneLine(s string) string { return strings.ToValidUTF8(s[:min(len(s), 128)], "?") }
