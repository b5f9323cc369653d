package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"mnemo/proxy/upstream"
)

// Error types of OpenAI's error object, as its SDKs know them.
const (
	typeInvalidRequest = "invalid_request_error"
	typeAuthentication = "authentication_error"
	typeRateLimit      = "rate_limit_error"
	typeServer         = "server_error"
)

// statusClientGone is what a call is recorded as whose client left before the
// answer was complete. It is never sent. The number is nginx's.
const statusClientGone = 499

// An apiError is an answer of mnemo's own, in the shape of OpenAI's errors.
type apiError struct {
	Status     int
	Type       string
	Code       string
	Param      string // the parameter or header at fault, or ""
	Message    string
	RetryAfter time.Duration // sent as Retry-After unless 0
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// JSON is the error as a body.
func (e *apiError) JSON() []byte {
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

// Private

func badRequest(code, param, format string, args ...any) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: typeInvalidRequest, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// asAPIError translates any error of a handler into what the client gets. The
// text of an unknown error stays inside: it may name hosts or files.
func asAPIError(err error) *apiError {
	var own *apiError
	var up *upstream.Error
	var web *fiber.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return &apiError{Status: statusClientGone, Type: typeServer, Code: "client_gone", Message: "the client closed the connection"}
	case errors.As(err, &up):
		return &apiError{Status: up.Status, Type: typeOf(up.Status), Code: up.Code, Message: up.Message, RetryAfter: up.RetryAfter}
	case errors.As(err, &web):
		return fromFiber(web)
	}
	return &apiError{Status: http.StatusInternalServerError, Type: typeServer, Code: "internal_error", Message: "mnemo could not handle the request; its log says why"}
}

func storeUnavailable(message string) *apiError {
	return &apiError{Status: http.StatusServiceUnavailable, Type: typeServer, Code: "store_unavailable", RetryAfter: time.Second, Message: message}
}

func fromFiber(err *fiber.Error) *apiError {
	switch err.Code {
	case http.StatusRequestHeaderFieldsTooLarge:
		return &apiError{Status: err.Code, Type: typeInvalidRequest, Code: "header_too_large", Message: "the request's header is larger than limits.header allows; raise it there"}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &apiError{Status: http.StatusNotFound, Type: typeInvalidRequest, Code: "not_found", Message: "mnemo serves the OpenAI API below /v1/, and /healthz, /readyz and /metrics"}
	}
	// The parser's own words quote what it could not read, credentials included.
	return &apiError{Status: err.Code, Type: typeOf(err.Code), Code: "bad_request", Message: "the request is not valid HTTP"}
}

func typeOf(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return typeRateLimit
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return typeAuthentication
	case status < http.StatusInternalServerError:
		return typeInvalidRequest
	}
	return typeServer
}

// write makes the error the response.
func (e *apiError) write(ctx *fasthttp.RequestCtx) {
	ctx.Response.ResetBody()
	ctx.Response.SetStatusCode(e.Status)
	ctx.Response.Header.SetContentType("application/json")
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		ctx.Response.Header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	ctx.Response.SetBodyRaw(e.JSON())
}
