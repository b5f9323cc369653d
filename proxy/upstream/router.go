package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// A Route sends the models that match a pattern to candidates, in order.
type Route struct {
	Model string // exact, case-sensitive; * stands for any characters, also none
	To    []Candidate
	// Degrade are cheaper candidates. They are tried, in order, if every candidate of
	// To had no place for a call (its queue was full, or the call waited there for
	// long enough), and before all else in place of To if the call asks for it
	// (Request.Degrade).
	Degrade []Candidate
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

// Degrades reports whether there are cheaper candidates for the model.
func (p *Pool) Degrades(model string) bool { return len(p.router.rule(model).degrade) > 0 }

// Candidates are whom calls of the model may go to, in order, each with the name that
// the model has there; the cheaper ones if degraded, which may be none.
func (p *Pool) Candidates(model string, degraded bool) []Candidate {
	rule := p.router.rule(model)
	list := rule.candidates
	if degraded {
		list = rule.degrade
	}
	named := make([]Candidate, len(list))
	for i := range list {
		named[i] = Candidate{Upstream: list[i].upstream.name, Model: cmp.Or(list[i].model, model)}
	}
	return named
}

// Private

// A router orders the candidates of a call.
type router struct {
	rules    []rule
	fallback rule
}

type rule struct {
	pattern             string
	candidates, degrade []candidate
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
	r := &router{fallback: rule{candidates: []candidate{{upstream: upstreams[0]}}}}
	var errs []error
	for i, route := range routes {
		if route.Model == "" || len(route.To) == 0 {
			errs = append(errs, fmt.Errorf("route %d: a model pattern and a candidate are needed", i))
		}
		resolve := func(list []Candidate) (candidates []candidate) {
			for _, to := range list {
				u := byName[to.Upstream]
				if u == nil {
					errs = append(errs, fmt.Errorf("route %d: there is no upstream %q", i, to.Upstream))
				}
				candidates = append(candidates, candidate{upstream: u, model: to.Model, literal: literal(to.Model)})
			}
			return candidates
		}
		r.rules = append(r.rules, rule{pattern: route.Model, candidates: resolve(route.To), degrade: resolve(route.Degrade)})
	}
	return r, errors.Join(errs...)
}

// rule is the first that matches. It has at least one candidate, and is shared.
func (r *router) rule(model string) *rule {
	for i := range r.rules {
		if Matches(r.rules[i].pattern, model) {
			return &r.rules[i]
		}
	}
	return &r.fallback
}

func (r *router) candidates(model string) []candidate { return r.rule(model).candidates }
