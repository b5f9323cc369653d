package manage

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"mnemo/ledger"
	"mnemo/memory"
	"mnemo/memory/transcript"
	"mnemo/proxy/apierror"
)

// Private

// errStore is beside an error of the store that says nothing to a client.
var errStore = errors.New("store")

// errLedger is errStore for the ledger.
var errLedger = errors.New("ledger")

// storeError marks what a store returned.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errStore, err)
}

// ledgerError marks what the ledger returned.
func ledgerError(err error) error {
	switch {
	case errors.Is(err, ledger.ErrTooWide):
		return apierror.BadRequest("too_many_groups", "group_by", "%v", ledger.ErrTooWide)
	case errors.Is(err, ledger.ErrQuery):
		return invalid("", "%v", err)
	}
	return errors.Join(errLedger, err)
}

// fail answers with an error. The text of an unknown one stays inside: it may name
// hosts or files.
func (r *request) fail(err error) {
	e := translate(err)
	if e.Status >= http.StatusInternalServerError && e.Status != http.StatusNotImplemented {
		r.Log.Error("management API", "method", string(r.web.Method()), "status", e.Status, "error", err)
	}
	e.Write(r.web)
}

// translate makes any error one for clients.
func translate(err error) *apierror.Error {
	var own *apierror.Error
	var document *transcript.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, memory.ErrNotFound):
		return clientError(http.StatusNotFound, "session_not_found", "id", "there is no such session")
	case errors.Is(err, memory.ErrExists):
		return clientError(http.StatusConflict, "session_exists", "id", "there is a session with this id already: delete it first, or name another id")
	case errors.Is(err, memory.ErrConflict):
		return clientError(http.StatusConflict, "session_changed", "", "the session changed meanwhile: ask again")
	case errors.Is(err, memory.ErrSessionFull):
		return clientError(http.StatusRequestEntityTooLarge, "session_full", "", "the session is larger than limits.session allows")
	case errors.Is(err, memory.ErrKey):
		return invalidID()
	case errors.As(err, &document):
		return apierror.BadRequest("invalid_document", "", "%v", document)
	case errors.Is(err, context.DeadlineExceeded):
		return serverError(http.StatusGatewayTimeout, "timeout", "it took too long; the log says what")
	case errors.Is(err, errStore):
		e := serverError(http.StatusServiceUnavailable, "store_unavailable", "the store of sessions cannot be reached")
		e.RetryAfter = time.Second
		return e
	case errors.Is(err, errLedger):
		e := serverError(http.StatusServiceUnavailable, "ledger_unavailable", "the ledger cannot be reached")
		e.RetryAfter = time.Second
		return e
	}
	return serverError(http.StatusInternalServerError, "internal_error", "mnemo could not handle the request; its log says why")
}

func clientError(status int, code, param, message string) *apierror.Error {
	return &apierror.Error{Status: status, Type: apierror.TypeInvalidRequest, Code: code, Param: param, Message: message}
}

func serverError(status int, code, message string) *apierror.Error {
	return &apierror.Error{Status: status, Type: apierror.TypeServer, Code: code, Message: message}
}

func invalid(param, format string, args ...any) *apierror.Error {
	return apierror.BadRequest("invalid_parameter", param, format, args...)
}

func invalidID() *apierror.Error {
	return apierror.BadRequest("invalid_session_id", "id", "a session id is 1 to %d visible ASCII characters, percent-encoded in a path", memory.MaxKeyLength)
}

func adminOnly(param string) *apierror.Error {
	return &apierror.Error{Status: http.StatusForbidden, Type: apierror.TypeAuthentication, Code: "admin_only", Param: param, Message: "only an admin key may name a tenant"}
}

func tooLarge(limit int) *apierror.Error {
	size := strconv.Itoa(limit) + " bytes"
	if limit >= 1<<20 {
		size = strconv.Itoa(limit>>20) + " MiB"
	}
	return clientError(http.StatusRequestEntityTooLarge, "body_too_large", "", "the body is larger than "+size)
}

func notConfigured(message string) *apierror.Error {
	return serverError(http.StatusNotImplemented, "not_configured", message)
}

func noLedger() *apierror.Error {
	return notConfigured("this mnemo keeps no ledger: set ledger.enabled")
}
