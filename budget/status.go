package budget

import (
	"cmp"
	"slices"
	"time"
)

// Bounds of Status.
const (
	DefaultStates = 100
	MaxStates     = 1000
)

// A Query says which states are wanted.
type Query struct {
	Tenant string // sums of this tenant and its sessions only; "": all
	Rule   string // of this rule only; "": of all
	Most   int    // how many; 0: DefaultStates; never more than MaxStates
}

// A State is where one budget of one subject stands.
type State struct {
	Rule     string
	Scope    Scope
	Action   Action
	Subject  Subject
	Spent    int64 // in the unit of Limit
	Reserved int64 // by calls under way
	Limit    Limit
	Per      Period
	From     time.Time // when the window began
	Resets   time.Time

	account *account
}

// Status returns the states of the running windows, those of which the largest share is used up
// first. With a Counter it tells of the subjects that this replica has seen, as of the last exchange,
// and asks for what others have spent since, for the next time.
func (b *Budgets) Status(q Query) []State {
	most := min(cmp.Or(max(q.Most, 0), DefaultStates), MaxStates)
	var states []State
	for _, m := range *b.meters.Load() {
		for _, s := range b.states(m, q) {
			if states = append(states, s); len(states) >= 2*most {
				states = foremost(states, most)
			}
		}
	}
	states = foremost(states, most)
	if b.share != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range states {
			b.share.touch(s.account)
		}
	}
	return states
}

// Private

// states holds the lock for one meter at a time.
func (b *Budgets) states(m *meter, q Query) (states []State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if m.scope == Global {
		b.account(m, &Call{}, now) // to be seen before anything is spent
	}
	for _, a := range m.accounts.Values() {
		if !now.Before(a.until) || q.Tenant != "" && a.subject.Tenant != q.Tenant {
			continue
		}
		for _, r := range m.rules {
			if q.Rule == "" || q.Rule == r.Name {
				states = append(states, State{
					Rule: r.Name, Scope: r.Scope, Action: r.Action, Subject: a.subject,
					Spent: a.sum(), Reserved: a.held(), Limit: r.Limit, Per: r.Per, From: a.from, Resets: a.until,
					account: a,
				})
			}
		}
	}
	return states
}

func foremost(states []State, most int) []State {
	slices.SortFunc(states, func(a, b State) int {
		return cmp.Or(
			-cmp.Compare(a.share(), b.share()),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Subject.Tenant, b.Subject.Tenant),
			cmp.Compare(a.Subject.Session, b.Subject.Session),
			cmp.Compare(a.Subject.Model, b.Subject.Model),
		)
	})
	return states[:min(len(states), most)]
}

func (s State) share() float64 { return float64(s.Spent+s.Reserved) / float64(s.Limit.Amount) }
