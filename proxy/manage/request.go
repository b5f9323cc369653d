package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

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

// key is the session that the path names.
func (r *request) key() (memory.Key, error) {
	// Fiber and net/url clean paths; an id may hold "..", "//" and "%2F".
	parts := strings.SplitN(string(r.web.URI().PathOriginal()), "/", 5)
	if len(parts) < 4 {
		return memory.Key{}, invalidID()
	}
	id, err := url.PathUnescape(parts[3])
	if err != nil {
		return memory.Key{}, invalidID()
	}
	return r.keyOf(id)
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

// param is a parameter of the query.
func (r *request) param(name string) (value string, given bool) {
	args := r.web.QueryArgs()
	return string(args.Peek(name)), args.Has(name)
}

func (r *request) flag(name string) (bool, error) {
	value, given := r.param(name)
	switch {
	case !given || value == "false" || value == "0":
		return false, nil
	case value == "true" || value == "1":
		return true, nil
	}
	return false, invalid(name, "%s is true or false", name)
}

func (r *request) number(name string, low, high, missing int64) (int64, error) {
	value, given := r.param(name)
	if !given {
		return missing, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < low || n > high {
		return 0, invalid(name, "%s is a number from %d to %d", name, low, high)
	}
	return n, nil
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
