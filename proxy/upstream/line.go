package upstream

import "slices"

// Private

// A line holds tickets in a lane for each tenant. Lanes take turns; within a
// lane who came first is first.
type line struct {
	length   int
	byTenant map[string]*lane
	turns    []*lane // none is empty
	at       int     // whose turn it is
}

type lane struct {
	tenant  string
	tickets []*ticket
}

func (l *line) tenants() int { return len(l.turns) }

func (l *line) join(t *ticket) {
	if l.byTenant == nil {
		l.byTenant = map[string]*lane{}
	}
	own := l.byTenant[t.tenant]
	if own == nil {
		own = &lane{tenant: t.tenant}
		l.byTenant[t.tenant] = own
		l.turns = slices.Insert(l.turns, l.at, own) // a turn from now
		l.at = (l.at + 1) % len(l.turns)
	}
	own.tickets = append(own.tickets, t)
	l.length++
}

// front is the ticket whose turn it is. There is at least one.
func (l *line) front() *ticket { return l.turns[l.at].tickets[0] }

// pass gives the turn to the next tenant.
func (l *line) pass() { l.at = (l.at + 1) % len(l.turns) }

// take removes the ticket whose turn it is, and passes the turn on.
func (l *line) take() {
	own := l.turns[l.at]
	if len(own.tickets) > 1 {
		l.pass()
	}
	l.remove(own, 0) // the next tenant moves up if this was its last ticket
}

// quit reports whether the ticket was in the line.
func (l *line) quit(t *ticket) bool {
	own := l.byTenant[t.tenant]
	if own == nil {
		return false
	}
	i := slices.Index(own.tickets, t)
	if i < 0 {
		return false
	}
	l.remove(own, i)
	return true
}

func (l *line) remove(own *lane, i int) {
	own.tickets = slices.Delete(own.tickets, i, i+1)
	l.length--
	if len(own.tickets) > 0 {
		return
	}
	delete(l.byTenant, own.tenant)
	i = slices.Index(l.turns, own)
	l.turns = slices.Delete(l.turns, i, i+1)
	if i < l.at {
		l.at--
	}
	if l.at == len(l.turns) {
		l.at = 0
	}
}

// lastOfLongest is the last ticket of the longest lane, if that is longer than
// the newcomer's would become; else nil.
func (l *line) lastOfLongest(newcomer string) *ticket {
	var longest *lane
	for _, other := range l.turns {
		if longest == nil || len(other.tickets) > len(longest.tickets) {
			longest = other
		}
	}
	fair := 1
	if own := l.byTenant[newcomer]; own != nil {
		fair += len(own.tickets)
	}
	if longest == nil || len(longest.tickets) <= fair {
		return nil
	}
	return longest.tickets[len(longest.tickets)-1]
}
