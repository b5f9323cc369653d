// Package manage is the management API: the routes below /api, through which
// people and programs see, export, import and delete the conversations that are
// kept, and see what calls cost. openapi.json describes it.
package manage

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"mnemo/budget"
	"mnemo/ledger"
	"mnemo/memory"
)

// DefaultMaxBody is Options.MaxBody unless set: the bytes of an import.
const DefaultMaxBody = 256 << 20

// Options of the API. Store and Identify must be set.
type Options struct {
	Store memory.Store

	// Identify says who asks. Its errors should be *apierror.Error. A caller
	// without a tenant has sent no credential and is refused.
	Identify func(h *fasthttp.RequestHeader) (Caller, error)

	// Personas lists those of the configuration, as it is now; nil: there are none.
	Personas func() []Persona

	// Upstreams tells how the model APIs are now; nil: nothing is told.
	Upstreams func() []Upstream

	// CheckPersona says whether a new session can have the persona. Its errors
	// should be *apierror.Error. nil: it can if Personas has it, and each of its
	// variables is given.
	CheckPersona func(p *memory.Persona) error

	// Prompt composes what a chat call with the body would send, and sends nothing.
	// The session exists. Its errors should be *apierror.Error or the store's. nil:
	// the route says that it cannot.
	Prompt func(ctx context.Context, c Caller, key memory.Key, body string) (Preview, error)

	// Rebuild makes the session's summary anew and returns when it is stored. Its
	// errors should be *apierror.Error or the store's. nil: the route says that it
	// cannot.
	Rebuild func(ctx context.Context, c Caller, key memory.Key) error

	// Ledger is the accounts of calls; nil: the routes that need it say that none is kept.
	Ledger ledger.Store

	// Budgets tells where budgets stand; nil: there are none.
	Budgets func(q budget.Query) []budget.State

	// Deleted is told of a session that is no longer in the store, once or more often,
	// so that nothing else knows of it either; nil: nothing does.
	Deleted func(ctx context.Context, key memory.Key) error

	MaxBody int              // bytes of an import; 0: DefaultMaxBody
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // gets a line for every deletion; nil: nowhere
}

// A Caller is who asks.
type Caller struct {
	Tenant string      // "" if the request carries no credential
	Admin  bool        // may name any tenant
	Alone  bool        // there is no other tenant
	Name   string      // of the key, for the log; may be empty
	Models []string    // patterns of the models it may use; empty: all
	Header http.Header // what a call upstream on the caller's behalf carries
}

// Register adds the API's routes to the router, at /api. The application may stream
// bodies of requests; each route has a bound of its own.
func Register(router fiber.Router, o Options) {
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &api{Options: o, imports: make(chan struct{}, maxImports)}
	for _, r := range a.routes() {
		if r.method == http.MethodGet {
			router.Get(r.path, a.handler(r)) // and HEAD
			continue
		}
		router.Add(r.method, r.path, a.handler(r))
	}
}

// Private

//go:embed openapi.json
var document []byte

const (
	storeTimeout   = 10 * time.Second // for what asks only the store
	importTimeout  = 2 * time.Minute  // for a whole session to be stored
	exportTimeout  = 30 * time.Minute // for a whole session to be written
	rebuildTimeout = 10 * time.Minute // for a model to read a whole session
	takeTimeout    = 2 * time.Minute  // for a client to take what is written to it
	maxImports     = 4                // at a time; each holds a session in memory
)

// An api serves the routes.
type api struct {
	Options
	imports chan struct{} // has one for each import that is running
}

// A route is one operation of the document.
type route struct {
	method, path string
	params       []string // of the query; others are refused
	open         bool     // to anybody
	serve        func(*request) error
}

func (a *api) routes() []route {
	const sessions, one = "/api/sessions", "/api/sessions/:id"
	tenant := []string{"tenant"}
	return []route{
		{method: http.MethodGet, path: sessions, params: []string{"cursor", "limit", "search", "idle_since", "tenant", "all"}, serve: a.list},
		{method: http.MethodPost, path: sessions, params: tenant, serve: a.create},
		{method: http.MethodPost, path: sessions + "/import", params: []string{"id", "tenant"}, serve: a.restore},
		{method: http.MethodGet, path: one, params: tenant, serve: a.show},
		{method: http.MethodDelete, path: one, params: tenant, serve: a.remove},
		{method: http.MethodGet, path: one + "/messages", params: []string{"cursor", "limit", "order", "superseded", "tenant"}, serve: a.messages},
		{method: http.MethodGet, path: one + "/export", params: []string{"format", "bom", "superseded", "tenant"}, serve: a.export},
		{method: http.MethodPost, path: one + "/prompt", params: tenant, serve: a.prompt},
		{method: http.MethodPost, path: one + "/rebuild", params: tenant, serve: a.rebuild},
		{method: http.MethodGet, path: "/api/personas", serve: a.personas},
		{method: http.MethodGet, path: "/api/upstreams", serve: a.upstreams},
		{method: http.MethodGet, path: "/api/usage", params: usageParams, serve: a.usage},
		{method: http.MethodGet, path: "/api/calls/:id", params: []string{"tenant", "all"}, serve: a.call},
		{method: http.MethodGet, path: "/api/budgets", params: []string{"rule", "limit", "tenant"}, serve: a.budgets},
		{method: http.MethodGet, path: "/api/openapi.json", open: true, serve: a.document},
	}
}

// handler is Fiber's for a route. It answers errors and panics itself.
func (a *api) handler(route route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		r := &request{api: a, web: c.Context()}
		defer r.skipBody()
		defer func() {
			if cause := recover(); cause != nil {
				r.fail(fmt.Errorf("panic: %v", cause))
			}
		}()
		c.Set(fiber.HeaderCacheControl, "no-store")
		err := r.admit(&route)
		if err == nil {
			err = route.serve(r)
		}
		if err != nil {
			r.fail(err)
		}
		return nil
	}
}

func (a *api) document(r *request) error {
	r.web.SetContentType("application/json")
	r.web.SetBody(document)
	return nil
}
