package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
)

// statusClientGone is what a call is recorded as whose client left before the
// answer was complete. It is never sent. The number is nginx's.
const statusClientGone = 499

// errOver ends the calls that outlast a shutdown.
var errOver = &apierror.Error{Status: http.StatusServiceUnavailable, Type: apierror.TypeServer, Code: "shutting_down", RetryAfter: time.Second,
	Message: "mnemo is shutting down; try again"}

// Private

// asAPIError translates any error of a handler into what the client gets. The
// text of an unknown error stays inside: it may name hosts or files.
func asAPIError(err error) *apierror.Error {
	var own *apierror.Error
	var up *upstream.Error
	var web *fiber.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return &apierror.Error{Status: statusClientGone, Type: apierror.TypeServer, Code: "client_gone", Message: "the client closed the connection"}
	case errors.As(err, &up):
		return &apierror.Error{Status: up.Status, Type: apierror.TypeOf(up.Status), Code: up.Code, Message: up.Message, RetryAfter: up.RetryAfter,
			Final: up.Code == upstream.CodeCredentialsExhausted} // somebody must do something first
	case errors.As(err, &web):
		return fromFiber(web)
	}
	return &apierror.Error{Status: http.StatusInternalServerError, Type: apierror.TypeServer, Code: "internal_error", Message: "mnemo could not handle the request; its log says why"}
}

func storeUnavailable(message string) *apierror.Error {
	return &apierror.Error{Status: http.StatusServiceUnavailable, Type: apierror.TypeServer, Code: "store_unavailable", RetryAfter: time.Second, Message: message}
}

func fromFiber(err *fiber.Error) *apierror.Error {
	switch err.Code {
	case http.StatusRequestHeaderFieldsTooLarge:
		return &apierror.Error{Status: err.Code, Type: apierror.TypeInvalidRequest, Code: "header_too_large", Message: "the request's header is larger than limits.header allows; raise it there"}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &apierror.Error{Status: http.StatusNotFound, Type: apierror.TypeInvalidRequest, Code: "not_found", Message: "mnemo serves the OpenAI API below /v1/, the management API below /api/, and /healthz, /readyz and /metrics"}
	}
	// The parser's own words quote what it could not read, credentials included.
	return &apierror.Error{Status: err.Code, Type: apierror.TypeOf(err.Code), Code: "bad_request", Message: "the request is not valid HTTP"}
}
