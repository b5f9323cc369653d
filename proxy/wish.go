package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"mnemo/memory"
	"mnemo/proxy/apierror"
)

// Values of X-Memory-Mode.
const (
	modeOn        = "on"
	modeOff       = "off"
	modeReadOnly  = "read-only"
	modeWriteOnly = "write-only"
)

// unknownBudget is the budget for a model of which nothing is known and for which
// none is configured.
const unknownBudget = 8000

// maxBudget bounds X-Memory-Budget.
const maxBudget = 100_000_000

// A memoryWish is what a call's header fields ask of memory.
type memoryWish struct {
	mode     string
	budget   int // 0: the configured one
	strategy *memory.Strategy
	persona  *memory.Persona // nil: the session's
}

func (w *memoryWish) reads() bool  { return w.mode == modeOn || w.mode == modeReadOnly }
func (w *memoryWish) writes() bool { return w.mode == modeOn || w.mode == modeWriteOnly }

// Private

// checkSession says whether the session can be used by this caller.
func (x *exchange) checkSession() error {
	id := x.session
	if err := (memory.Key{Tenant: theTenant, Session: id}).Check(); err != nil {
		x.session = "" // it is not fit for a response header either
		return apierror.BadRequest("invalid_session_id", x.set.Memory.SessionHeader, "a session id is 1 to %d visible ASCII characters", memory.MaxKeyLength)
	}
	if x.caller.tenant == "" {
		return &apierror.Error{Status: http.StatusUnauthorized, Type: apierror.TypeAuthentication, Code: "missing_api_key",
			Message: "a session belongs to an API key: send Authorization: Bearer with yours"}
	}
	return nil
}

// memoryWish reads the header fields that ask something of memory.
func (x *exchange) memoryWish() (w memoryWish, err error) {
	w.mode = modeOn
	for name, value := range x.header.own {
		switch name {
		case headerMode:
			switch w.mode = strings.ToLower(value); w.mode {
			case modeOn, modeOff, modeReadOnly, modeWriteOnly:
			default:
				return w, apierror.BadRequest("invalid_header", name, "%s is on, off, read-only or write-only", name)
			}
		case headerBudget:
			w.budget, err = strconv.Atoi(value)
			if err != nil || w.budget < 1 || w.budget > maxBudget {
				return w, apierror.BadRequest("invalid_header", name, "%s is a number of tokens, at least 1", name)
			}
		case headerStrategy:
			strategy, err := memory.ParseStrategy(value)
			if err != nil {
				return w, apierror.BadRequest("invalid_header", name, "%s: %v", name, err)
			}
			w.strategy = &strategy
		}
	}
	if err := x.readPersona(&w); err != nil {
		return w, err
	}
	if w.persona != nil && (x.session == "" || w.mode == modeOff) {
		return w, apierror.BadRequest("invalid_header", headerPersona, "%s needs a session with memory: it belongs to one", headerPersona)
	}
	return w, nil
}

// sizeText writes a number of bytes for people.
func sizeText[T int | int64](bytes T) string {
	const mebi = 1 << 20
	if bytes >= mebi && bytes%mebi == 0 {
		return strconv.FormatInt(int64(bytes/mebi), 10) + " MiB"
	}
	return strconv.FormatInt(int64(bytes), 10) + " bytes"
}
