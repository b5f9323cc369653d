// Package budget bounds what may be spent: dollars or tokens in an hour, a day or a month, by
// tenants, sessions, models or all together.
//
// A call reserves an estimate before it is made and settles what it did cost afterwards. It is
// admitted while what is spent and reserved is less than the limit, so calls that run at the same time
// pass a limit by no more than the last one's estimate, and by what estimates were too low.
//
// Sums are kept in this process or, with a Counter, by all replicas together.
package budget

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	DefaultMaxSubjects = 100_000
	DefaultDeadline    = 100 * time.Millisecond
	DefaultLease       = time.Minute
)

// Options of Budgets.
type Options struct {
	Rules []Rule

	// MaxSubjects bounds the sums that this process knows; 0 means DefaultMaxSubjects, and less than
	// MaxRules is MaxRules. Beyond, sums of ended windows go first, then, of the rule that has most
	// of them, the one that was not used for longest: its subject begins at 0 again, which lets it
	// spend more and never blocks anybody. With a Counter nothing is lost by that.
	MaxSubjects int

	Counter  Counter       // nil: sums of this process alone
	Deadline time.Duration // how long a call waits for the Counter; 0: DefaultDeadline
	Lease    time.Duration // how long reservations of a killed replica count; 0: DefaultLease

	Now        func() time.Time // nil: time.Now
	Log        *slog.Logger     // nil discards
	Alerts     *Alerts          // gets every Crossing; nil: none. It is not closed
	OnCrossing func(Crossing)   // called once for each Crossing, by any goroutine; nil: none
}

// Budgets is rules and what was spent under them. It is safe for concurrent use.
type Budgets struct {
	now        func() time.Time
	log        *slog.Logger
	alerts     *Alerts
	onCrossing func(Crossing)
	bound      int
	share      *share // nil without a Counter

	meters atomic.Pointer[[]*meter] // changed with mu held

	mu    sync.Mutex
	count int // accounts of all meters
}

// New returns Budgets, to be closed if there is a Counter, or an error that says all that is wrong
// with the rules.
func New(opts Options) (*Budgets, error) {
	b := &Budgets{
		now: opts.Now, log: opts.Log, alerts: opts.Alerts, onCrossing: opts.OnCrossing,
		bound: max(cmp.Or(opts.MaxSubjects, DefaultMaxSubjects), MaxRules),
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	b.meters.Store(&[]*meter{})
	if err := b.Reload(opts.Rules); err != nil {
		return nil, err
	}
	if opts.Counter != nil {
		b.share = newShare(b, opts)
	}
	return b, nil
}

// Reload puts other rules in place of those in force, or returns an error and changes nothing. Sums
// of rules that stay the same in Scope, Match, Tenant, unit and Per stay, whatever else changes.
func (b *Budgets) Reload(rules []Rule) error {
	if err := Check(rules); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := make(map[identity]*meter)
	for _, m := range *b.meters.Load() {
		known[m.identity] = m
	}
	var meters []*meter
	enforced := make(map[*meter][]*rule)
	for _, r := range rules {
		m := known[r.identity()]
		if m == nil {
			var err error
			if m, err = newMeter(r.identity(), b.bound); err != nil {
				return err
			}
			known[m.identity] = m
		}
		if enforced[m] == nil {
			meters = append(meters, m)
		}
		enforced[m] = append(enforced[m], newRule(r))
	}
	b.count = 0
	for _, m := range known {
		m.enforce(enforced[m]) // none for one that is gone, whose calls may still be under way
		if len(m.rules) > 0 {
			b.count += m.accounts.Len()
		}
	}
	b.meters.Store(&meters)
	return nil
}

// Reserve asks all budgets that are about a call and, unless one of them blocks it, reserves its
// estimate in each. The Reservation is nil if the call is blocked or if no budget is about it. With a
// Counter it waits for one round trip, at most for Options.Deadline; then, when ctx ends, or while the
// Counter is away, what this replica knows decides.
//
// A call that goes to another model, because of Degrade, is settled with the zero Amount and reserved
// under its new one.
func (b *Budgets) Reserve(ctx context.Context, c Call) (*Reservation, Verdict) {
	for {
		meters := b.meters.Load()
		var few [fewAccounts]*meter
		watching := few[:0]
		for _, m := range *meters {
			if m.watches(&c) {
				watching = append(watching, m)
			}
		}
		if len(watching) == 0 {
			return nil, Verdict{}
		}
		b.mu.Lock()
		if b.meters.Load() != meters { // reloaded meanwhile
			b.mu.Unlock()
			continue
		}
		r, v := b.reserve(ctx, &c, watching)
		b.mu.Unlock()
		return r, v
	}
}

// Seed counts what calls did cost at a time before this process started, if their window still runs.
// What is crossed by it is not told again. With a Counter it does nothing: the Counter knows.
func (b *Budgets) Seed(at time.Time, c Call, actual Amount) {
	if b.share != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for _, m := range *b.meters.Load() {
		if from, _ := m.per.Window(now); !m.watches(&c) || at.Before(from) || at.After(now) {
			continue
		}
		a := b.account(m, &c, now)
		a.spent = min(a.spent+actual.in(m.unit), MaxAmount)
		a.crossings(now)
		b.forgetEmpty(a)
	}
}

// Close ends the exchange with the Counter: it tells the last sums, until ctx ends. Calls should have
// been settled. Without a Counter it does nothing.
func (b *Budgets) Close(ctx context.Context) error {
	if b.share == nil {
		return nil
	}
	return b.share.close(ctx)
}

// Private

// reserve is Reserve with mu held, which is given up while a Counter is waited for.
func (b *Budgets) reserve(ctx context.Context, c *Call, watching []*meter) (*Reservation, Verdict) {
	now := b.now()
	r := &Reservation{budgets: b, estimate: c.Estimate}
	r.accounts = r.few[:0]
	for _, m := range watching {
		r.accounts = append(r.accounts, b.account(m, c, now))
	}
	var v Verdict
	if b.share != nil {
		v = b.share.decide(ctx, r)
	} else if v = verdict(r.accounts); v.Action != Block {
		r.hold()
	}
	if v.Action != Block {
		return r, v
	}
	for _, a := range r.accounts {
		b.forgetEmpty(a)
	}
	return nil, v
}

// account returns the account of a call, a new one if need be.
func (b *Budgets) account(m *meter, c *Call, now time.Time) *account {
	m.turn(now)
	s := m.subject(c)
	if a := m.find(s); a != nil {
		return a
	}
	if !m.accounts.Contains(s) {
		b.makeRoom(now)
		b.count++
	}
	a := &account{meter: m, subject: s.clone(), from: m.from, until: m.until}
	if b.share != nil {
		a.link = b.share.newLink(a)
	}
	m.accounts.Add(a.subject, a)
	return a
}

// makeRoom forgets an account if there are too many.
func (b *Budgets) makeRoom(now time.Time) {
	if b.count < b.bound {
		return
	}
	var most *meter
	for _, m := range *b.meters.Load() {
		if _, a, ok := m.accounts.GetOldest(); ok && !now.Before(a.until) {
			most = m
			break
		}
		if most == nil || m.accounts.Len() > most.accounts.Len() {
			most = m
		}
	}
	most.accounts.RemoveOldest()
	b.count--
}

// forgetEmpty forgets an account in which nothing is, so that names that clients make up push nobody
// else out.
func (b *Budgets) forgetEmpty(a *account) {
	if !a.empty() || a.link != nil && a.link.dirty {
		return
	}
	if known, ok := a.meter.accounts.Peek(a.subject); ok && known == a {
		a.meter.accounts.Remove(a.subject)
		if len(a.meter.rules) > 0 {
			b.count--
		}
	}
}

// running returns the accounts of windows that have not ended, in which there is something.
func (b *Budgets) running(now time.Time) (accounts []*account) {
	for _, m := range *b.meters.Load() {
		for _, a := range m.accounts.Values() {
			if now.Before(a.until) && !a.empty() {
				accounts = append(accounts, a)
			}
		}
	}
	return accounts
}
