package manage

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
)

func TestDocument_is_valid_OpenAPI(t *testing.T) {
	v, err := theValidator()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s: %v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}

// described operations are "GET /path", each with the names of its query parameters.
func documented(t *testing.T) map[string][]string {
	type parameter struct{ Ref, Name, In string }
	type operation struct{ Parameters []json.RawMessage }
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	query := func(raws []json.RawMessage) (names []string) {
		for _, raw := range raws {
			var p parameter
			if err := json.Unmarshal([]byte(strings.Replace(string(raw), `"$ref"`, `"Ref"`, 1)), &p); err != nil {
				t.Fatal(err)
			}
			if p.In == "query" {
				names = append(names, p.Name)
			} else if strings.HasSuffix(p.Ref, "/Tenant") {
				names = append(names, "tenant")
			}
		}
		return names
	}
	out := map[string][]string{}
	for path, item := range doc.Paths {
		var shared []json.RawMessage
		if raw := item["parameters"]; raw != nil {
			if err := json.Unmarshal(raw, &shared); err != nil {
				t.Fatal(err)
			}
		}
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var o operation
			if err := json.Unmarshal(raw, &o); err != nil {
				t.Fatal(err)
			}
			names := append(query(shared), query(o.Parameters)...)
			sort.Strings(names)
			out[strings.ToUpper(method)+" "+path] = names
		}
	}
	return out
}

func TestDocument_has_every_route_and_no_other(t *testing.T) {
	described := documented(t)
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	Register(app, Options{})
	seen := map[string]bool{}
	for _, route := range app.GetRoutes(true) {
		if route.Method == http.MethodHead {
			continue
		}
		name := route.Method + " " + strings.Replace(route.Path, ":id", "{id}", 1)
		seen[name] = true
		if _, ok := described[name]; !ok {
			t.Errorf("%s is not described", name)
		}
	}
	for name := range described {
		if !seen[name] {
			t.Errorf("%s is no route", name)
		}
	}
	for _, route := range (&api{}).routes() {
		name := route.method + " " + strings.Replace(route.path, ":id", "{id}", 1)
		if !slices.Equal(slices.Sorted(slices.Values(route.params)), described[name]) {
			t.Errorf("%s takes %v and describes %v", name, route.params, described[name])
		}
	}
}

func TestDocument_is_served_to_everybody(t *testing.T) {
	r := newRig(t, nil).as("")
	var doc struct{ OpenAPI string }
	r.want(http.StatusOK, http.MethodGet, "/api/openapi.json", "", &doc)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
}

func TestRoutes_refuse_whom_they_do_not_know(t *testing.T) {
	r := newRig(t, nil)
	r.told("ada", "trip", hello("hi"))
	for name := range documented(t) {
		method, path, _ := strings.Cut(name, " ")
		if path == "/api/openapi.json" {
			continue
		}
		path = strings.Replace(path, "{id}", "trip", 1)
		r.as("").refused(http.StatusUnauthorized, "missing_api_key", method, path, "")
		r.as("key-of-nobody").refused(http.StatusUnauthorized, "invalid_api_key", method, path, "")
		r.refused(http.StatusBadRequest, "unknown_parameter", method, path+"?limitt=1", "")
		if path != "/api/personas" && path != "/api/upstreams" {
			r.refused(http.StatusForbidden, "admin_only", method, path+"?tenant=bob", "")
			r.refused(http.StatusForbidden, "admin_only", method, path+"?tenant=ada", "")
			r.as(root).refused(http.StatusBadRequest, "invalid_parameter", method, path+"?tenant=a%20b", "{}")
		}
		if strings.Contains(name, "{id}") {
			r.as(bobs).refused(missing(name), missingCode(name), method, path, `{"messages":[]}`)
		}
		if strings.Contains(name, "/sessions/{id}") {
			r.refused(http.StatusBadRequest, "invalid_session_id", method, strings.Replace(path, "trip", "a%20b", 1), "")
			r.refused(http.StatusBadRequest, "invalid_session_id", method, strings.Replace(path, "trip", strings.Repeat("x", 257), 1), "")
			r.refused(http.StatusBadRequest, "invalid_session_id", method, strings.Replace(path, "trip", "caf%C3%A9", 1), "")
		}
	}
}

// missing is what a route answers for a session that is not there; some can do
// nothing for lack of their options.
func missing(name string) int {
	if missingCode(name) == "not_configured" {
		return http.StatusNotImplemented
	}
	return http.StatusNotFound
}

func missingCode(name string) string {
	if strings.HasSuffix(name, "/prompt") || strings.HasSuffix(name, "/rebuild") || strings.Contains(name, "/calls/") {
		return "not_configured"
	}
	return "session_not_found"
}

func TestRoutes_survive_a_panic(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Personas = func() []Persona { panic("oops") } })
	a := r.do(http.MethodGet, "/api/personas", "")
	if a.status != http.StatusInternalServerError || strings.Contains(a.body, "oops") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !strings.Contains(r.log.String(), "oops") {
		t.Error("the panic is not in the log")
	}
}
