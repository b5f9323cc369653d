package budget

import (
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A Subject is whose spending a sum is: what the scope of its rule names is set, for a session also
// its tenant, and nothing for a global rule.
type Subject struct {
	Tenant  string `json:"tenant,omitempty"`
	Session string `json:"session,omitempty"`
	Model   string `json:"model,omitempty"`
}

// Private

// An identity is what rules that share their sums agree in.
type identity struct {
	scope         Scope
	match, tenant string
	unit          Unit
	per           Period
}

func (r Rule) identity() identity {
	return identity{scope: r.Scope, match: r.Match, tenant: r.Tenant, unit: r.Limit.Unit, per: r.Per}
}

// A meter keeps the accounts of rules with one identity. What is below the line is guarded by
// Budgets.mu.
type meter struct {
	identity
	matching, tenants pattern

	rules       []*rule
	limit       int64 // the lowest of those that block; 0: none
	accounts    *simplelru.LRU[Subject, *account]
	from, until time.Time // the window of the last call
}

// newMeter takes the bound on the accounts of all meters.
func newMeter(id identity, bound int) (*meter, error) {
	accounts, err := simplelru.NewLRU[Subject, *account](bound, nil)
	if err != nil {
		return nil, err
	}
	return &meter{identity: id, matching: newPattern(id.match), tenants: newPattern(id.tenant), accounts: accounts}, nil
}

// watches reports whether calls like c count. Those without a session, or a model, are in no sum of
// one.
func (m *meter) watches(c *Call) bool {
	if !m.tenants.matches(c.Tenant) {
		return false
	}
	switch m.scope {
	case Tenant:
		return m.matching.matches(c.Tenant)
	case Session:
		return c.Session != "" && m.matching.matches(c.Session)
	case Model:
		return c.Model != "" && m.matching.matches(c.Model)
	}
	return true
}

func (m *meter) subject(c *Call) Subject {
	switch m.scope {
	case Tenant:
		return Subject{Tenant: c.Tenant}
	case Session:
		return Subject{Tenant: c.Tenant, Session: c.Session}
	case Model:
		return Subject{Model: c.Model}
	}
	return Subject{}
}

// enforce takes the rules that look at the meter from now on.
func (m *meter) enforce(rules []*rule) {
	m.rules, m.limit = rules, 0
	for _, r := range rules {
		if r.Action == Block && (m.limit == 0 || r.Limit.Amount < m.limit) {
			m.limit = r.Limit.Amount
		}
	}
}

// turn makes the window the one that holds now.
func (m *meter) turn(now time.Time) {
	if now.Before(m.from) || !now.Before(m.until) {
		m.from, m.until = m.per.Window(now)
	}
}

// find returns the account of a subject in the window, or nil.
func (m *meter) find(s Subject) *account {
	if a, ok := m.accounts.Get(s); ok && a.from.Equal(m.from) {
		return a
	}
	return nil
}

// clone is a copy that holds on to nothing else: a name may be part of a whole request.
func (s Subject) clone() Subject {
	return Subject{Tenant: strings.Clone(s.Tenant), Session: strings.Clone(s.Session), Model: strings.Clone(s.Model)}
}
