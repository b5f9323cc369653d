// Package apierror is the shape in which mnemo tells of an error: OpenAI's.
package apierror

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"
)

// Types of OpenAI's error object, as its SDKs know them.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypeAuthentication = "authentication_error"
	TypeRateLimit      = "rate_limit_error"
	TypeServer         = "server_error"
)

// An Error is an answer of mnemo's own, in the shape of OpenAI's errors.
type Error struct {
	Status     int
	Type       string
	Code       string
	Param      string // the parameter or header at fault, or ""
	Message    string
	RetryAfter time.Duration // sent as Retry-After unless 0
	Final      bool          // a client that repeats the call by itself, as SDKs do, gets the same
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// JSON is the error as a body.
func (e *Error) JSON() []byte {
	b := append([]byte(`{"error":{"message":`), gjson.AppendJSONString(nil, e.Message)...)
	b = append(append(b, `,"type":`...), gjson.AppendJSONString(nil, e.Type)...)
	b = append(b, `,"param":`...)
	if e.Param == "" {
		b = append(b, "null"...)
	} else {
		b = gjson.AppendJSONString(b, e.Param)
	}
	b = append(append(b, `,"code":`...), gjson.AppendJSONString(nil, e.Code)...)
	return append(b, "}}"...)
}

// BadRequest is an error of status 400.
func BadRequest(code, param, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: TypeInvalidRequest, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Write makes the error the response.
func (e *Error) Write(ctx *fasthttp.RequestCtx) {
	ctx.Response.ResetBody()
	ctx.Response.SetStatusCode(e.Status)
	ctx.Response.Header.SetContentType("application/json")
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		ctx.Response.Header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if e.Final {
		ctx.Response.Header.Set("X-Should-Retry", "false") // OpenAI's SDKs heed it
	}
	ctx.Response.SetBodyRaw(e.JSON())
}

// TypeOf is the type of an error with the status.
func TypeOf(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return TypeRateLimit
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return TypeAuthentication
	case status < http.StatusInternalServerError:
		return TypeInvalidRequest
	}
	return TypeServer
}
