package budget

import (
	"sync/atomic"
)

// MaxCall bounds each figure of an Amount: nine thousand dollars, or 9e12 tokens. What is above
// counts as this much.
const MaxCall int64 = MaxAmount / 1000

// An Amount is what a call costs. What is not known is 0; negative figures count as 0.
type Amount struct {
	NanoDollars int64
	Tokens      int64
}

// A Call is what budgets must know of a call before it is made.
type Call struct {
	Tenant   string
	Session  string // "": none
	Model    string // as it was asked for
	Estimate Amount // of what it will cost, at best a little too high
}

// A Reservation keeps the estimate of a call from being spent by others. It must be settled.
type Reservation struct {
	budgets  *Budgets
	estimate Amount
	accounts []*account
	few      [fewAccounts]*account // what accounts starts with
	settled  atomic.Bool
}

// Settle puts what a call did cost in place of its estimate; it counts in the windows in which the
// call began. A call that failed and cost nothing is settled with the zero Amount. Only the first
// call does something, and on a nil Reservation none. It does not wait for a Counter.
func (r *Reservation) Settle(actual Amount) {
	if r == nil || r.settled.Swap(true) {
		return
	}
	b := r.budgets
	b.mu.Lock()
	now := b.now()
	var reached []mark
	for _, a := range r.accounts {
		a.reserved -= r.estimate.in(a.meter.unit)
		a.spent = min(a.spent+actual.in(a.meter.unit), MaxAmount)
		if b.share != nil {
			b.share.changed(a, now)
			continue
		}
		reached = append(reached, a.crossings(now)...)
		b.forgetEmpty(a)
	}
	b.mu.Unlock()
	b.announce(reached)
}

// Private

// fewAccounts is how many accounts of a call need no memory of their own.
const fewAccounts = 4

// hold reserves the estimate. Budgets.mu is held.
func (r *Reservation) hold() {
	for _, a := range r.accounts {
		a.reserved += r.estimate.in(a.meter.unit)
	}
}

// in is the figure that counts in a unit, within its bounds.
func (a Amount) in(u Unit) int64 {
	if u == Tokens {
		return min(max(a.Tokens, 0), MaxCall)
	}
	return min(max(a.NanoDollars, 0), MaxCall)
}
