package budget

import (
	"log/slog"
	"time"
)

// Events of a Crossing.
const (
	Warning Event = "budget.warning" // the share Rule.WarnAt of the limit is spent
	Reached Event = "budget.reached" // all of it is
)

// An Event says what was crossed.
type Event string

// A Crossing is the moment when the sum of a subject reached a limit, or the share of it at which is
// warned. There is one for each rule, subject and window, over all replicas that share a Counter. While
// a replica cannot reach it, it tells of what it knows alone; then others may tell the same, with the
// same ID.
type Crossing struct {
	ID      string // the same wherever and however often it is told
	Event   Event
	Rule    string
	Scope   Scope
	Action  Action
	Subject Subject
	Spent   int64 // in the unit of Limit
	Limit   Limit
	Per     Period
	From    time.Time // when the window began
	Resets  time.Time
	Time    time.Time
}

// Private

func newCrossing(a *account, r *rule, l level, now time.Time) Crossing {
	event := Warning
	if l.full {
		event = Reached
	}
	id := a.id()
	return Crossing{
		ID: digest([]byte(id + l.mark)), Event: event,
		Rule: r.Name, Scope: r.Scope, Action: r.Action, Subject: a.subject,
		Spent: a.sum(), Limit: r.Limit, Per: r.Per,
		From: a.from, Resets: a.until, Time: now.UTC(),
	}
}

// announce tells of crossings. Budgets.mu is not held.
func (b *Budgets) announce(reached []mark) {
	for _, m := range reached {
		c := m.Crossing
		message := "a budget is nearly used up"
		if c.Event == Reached {
			message = "a budget is used up"
		}
		b.log.Warn(message,
			slog.String("budget", c.Rule), slog.Any("subject", c.Subject), slog.String("action", string(c.Action)),
			slog.String("spent", Limit{c.Spent, c.Limit.Unit}.String()), slog.String("limit", c.Limit.String()),
			slog.String("per", string(c.Per)), slog.Time("resets", c.Resets), slog.String("id", c.ID))
		if b.onCrossing != nil {
			b.onCrossing(c)
		}
		b.alerts.Send(c)
	}
}

// LogValue implements slog.LogValuer.
func (s Subject) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 2)
	for _, part := range [...]slog.Attr{slog.String("tenant", s.Tenant), slog.String("session", s.Session), slog.String("model", s.Model)} {
		if part.Value.String() != "" {
			attrs = append(attrs, part)
		}
	}
	return slog.GroupValue(attrs...)
}
