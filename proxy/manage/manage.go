// Package manage is the management API: the routes below /api, through which
// people and programs see, export, import and delete the conversations that are
// kept. openapi.json describes it.
package manage

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/valyala/fasthttp"

	"mnemo/memory"
)

// DefaultMaxBody is Options.MaxBody unless set: the bytes of an import.
const DefaultMaxBody = 256 << 20

// Options of the API. Store and Identify must be set.
type Options struct {
	Store memory.FullStore

	// Identify says who asks. Its errors should be *apierror.Error. A caller
	// without a tenant has sent no credential and is refused.
	Identify func(h *fasthttp.RequestHeader) (Caller, error)

	// Personas lists those of the configuration, as it is now; nil: there are none.
	Personas func() []Persona

	// Prompt composes what a chat call with the body would send, and sends nothing.
	// The session exists. nil: the route says that it cannot.
	Prompt func(ctx context.Context, c Caller, key memory.Key, body string) (Preview, error)

	// Rebuild makes the session's summary anew and returns when it is stored. nil:
	// the route says that it cannot.
	Rebuild func(ctx context.Context, c Caller, key memory.Key) error

	MaxBody int          // bytes of an import; 0: DefaultMaxBody
	Log     *slog.Logger // gets a line for every deletion; nil: nowhere
}

// A Caller is who asks.
type Caller struct {
	Tenant string      // "" if the request carries no credential
	Admin  bool        // may name any tenant
	Name   string      // of the key, for the log; may be empty
	Header http.Header // what a call upstream on the caller's behalf carries
}
