package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// A Route sends the models that match a pattern to candidates, in order.
type Route struct {
	Model string // exact, case-sensitive; * stands for any characters, also none
	To    []Candidate
}

// A Candidate is an upstream that may serve a call, and under which model name.
type Candidate struct {
	Upstream string // the name of one of the upstreams
	Model    string // put in place of the request's model; "": unchanged
}

// Matches reports whether a pattern, in which * stands for any characters, also
// none, matches the whole of s. It takes time linear in both for a pattern of one
// star, and never more than their product.
func Matches(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Private

// A router orders the candidates of a call.
type router struct {
	rules    []rule
	fallback []candidate
}

type rule struct {
	pattern    string
	candidates []candidate
}

type candidate struct {
	upstream *upstream
	model    string // "": the request's
	literal  string // model in JSON
}

func newRouter(routes []Route, upstreams []*upstream) (*router, error) {
	byName := make(map[string]*upstream, len(upstreams))
	for _, u := range upstreams {
		byName[u.name] = u
	}
	r := &router{fallback: []candidate{{upstream: upstreams[0]}}}
	var errs []error
	for i, route := range routes {
		if route.Model == "" || len(route.To) == 0 {
			errs = append(errs, fmt.Errorf("route %d: a model pattern and a candidate are needed", i))
		}
		rule := rule{pattern: route.Model}
		for _, to := range route.To {
			u := byName[to.Upstream]
			if u == nil {
				errs = append(errs, fmt.Errorf("route %d: there is no upstream %q", i, to.Upstream))
			}
			rule.candidates = append(rule.candidates,
				candidate{upstream: u, model: to.Model, literal: string(gjson.AppendJSONString(nil, to.Model))})
		}
		r.rules = append(r.rules, rule)
	}
	return r, errors.Join(errs...)
}

// candidates returns at least one. The slice is shared.
func (r *router) candidates(model string) []candidate {
	for i := range r.rules {
		if Matches(r.rules[i].pattern, model) {
			return r.rules[i].candidates
		}
	}
	return r.fallback
}

// withModel puts a JSON literal in place of every top-level member "model" of a
// body; all other bytes stay. A body that is no JSON object, or has no such
// member, stays as it is.
func withModel(body, literal string) string {
	if !json.Valid([]byte(body)) { // gjson's check has no limit to its depth
		return body
	}
	object := gjson.Parse(body)
	if !object.IsObject() {
		return body
	}
	var b strings.Builder
	from := 0
	object.ForEach(func(name, value gjson.Result) bool {
		if name.String() == "model" {
			b.WriteString(body[from:value.Index])
			b.WriteString(literal)
			from = value.Index + len(value.Raw)
		}
		return true
	})
	if from == 0 {
		return body
	}
	b.WriteString(body[from:])
	return b.String()
}
