package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"mnemo/ledger"
	"mnemo/memory"
	"mnemo/proxy/apierror"
)

// Private

// A request is one call of the API.
type request struct {
	*api
	web    *fasthttp.RequestCtx
	caller Caller
}

// admit finds out who asks, and refuses what the route does not know.
func (r *request) admit(route *route) (err error) {
	for name := range r.web.QueryArgs().All() {
		if !slices.Contains(route.params, string(name)) {
			return apierror.BadRequest("unknown_parameter", string(name), "the route has no such parameter")
		}
	}
	if route.open {
		return nil
	}
	if r.caller, err = r.Identify(&r.web.Request.Header); err != nil {
		return err
	}
	if r.caller.Tenant == "" {
		return &apierror.Error{Status: http.StatusUnauthorized, Type: apierror.TypeAuthentication, Code: "missing_api_key",
			Message: "sessions belong to an API key: send Authorization: Bearer with yours"}
	}
	return nil
}

// tenant is whose sessions the request is about.
func (r *request) tenant() (string, error) {
	named, given := r.param("tenant")
	if !given {
		return r.caller.Tenant, nil
	}
	if !r.caller.Admin {
		return "", adminOnly("tenant")
	}
	if err := (memory.Key{Tenant: named, Session: "any"}).Check(); err != nil {
		return "", invalid("tenant", "a tenant is 1 to %d visible ASCII characters", memory.MaxKeyLength)
	}
	return named, nil
}

// scope is whose sessions or calls the request is about: a tenant's, or everybody's.
func (r *request) scope() (s ledger.Scope, err error) {
	if s.AllTenants, err = r.flag("all"); err != nil {
		return s, err
	}
	_, named := r.param("tenant")
	switch {
	case s.AllTenants && !r.caller.Admin:
		err = adminOnly("all")
	case s.AllTenants && named:
		err = invalid("all", "it is about all tenants or about one: leave all or tenant out")
	case !s.AllTenants:
		s.Tenant, err = r.tenant()
	}
	return s, err
}

// key is the session that the path names.
func (r *request) key() (memory.Key, error) {
	id, err := r.pathID()
	if err != nil {
		return memory.Key{}, invalidID()
	}
	return r.keyOf(id)
}

// pathID is the id that the path names, the third part of it.
func (r *request) pathID() (string, error) {
	// Fiber and net/url clean paths; an id may hold "..", "//" and "%2F".
	parts := strings.SplitN(string(r.web.URI().PathOriginal()), "/", 5)
	if len(parts) < 4 {
		return "", nil
	}
	return url.PathUnescape(parts[3])
}

// keyOf is the key of the session with the id.
func (r *request) keyOf(id string) (memory.Key, error) {
	tenant, err := r.tenant()
	if err != nil {
		return memory.Key{}, err
	}
	key := memory.Key{Tenant: tenant, Session: id}
	if key.Check() != nil {
		return memory.Key{}, invalidID()
	}
	return key, nil
}

// within is the time that an operation may take.
func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// answer sends a value as JSON.
func (r *request) answer(status int, value any) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // what was said stays as it was said
	if err := encoder.Encode(value); err != nil {
		return err
	}
	r.web.SetStatusCode(status)
	r.web.SetContentType("application/json")
	r.web.SetBody(out.Bytes())
	return nil
}
