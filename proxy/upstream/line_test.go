package upstream

import (
	"math/rand/v2"
	"testing"
)

func names(l *line, n int) (got string) {
	for range n {
		got += l.front().tenant
		l.take()
	}
	return got
}

func joined(tenants string) (*line, []*ticket) {
	l := &line{}
	var all []*ticket
	for _, tenant := range tenants {
		t := &ticket{tenant: string(tenant)}
		l.join(t)
		all = append(all, t)
	}
	return l, all
}

func TestLine_gives_tenants_turns(t *testing.T) {
	for joins, want := range map[string]string{
		"aaaa":      "aaaa",
		"aaaabc":    "abcaaa",
		"aabbcc":    "abcabc",
		"abcabcccc": "abcabcccc",
	} {
		l, _ := joined(joins)
		if got := names(l, len(joins)); got != want || l.length != 0 || l.tenants() != 0 {
			t.Errorf("%s came in as %s, want %s", joins, got, want)
		}
	}
}

func TestLine_keeps_turns_when_somebody_quits(t *testing.T) {
	l, all := joined("abcabc")
	l.pass() // it is b's turn
	if !l.quit(all[0]) || !l.quit(all[3]) || l.quit(all[3]) {
		t.Error("a ticket did not quit exactly once")
	}
	if got := names(l, 4); got != "bcbc" {
		t.Errorf("came in as %s", got)
	}
	l, all = joined("abc")
	l.quit(all[0]) // whose turn it was
	if got := names(l, 2); got != "bc" {
		t.Errorf("came in as %s", got)
	}
}

func TestLine_turns_away_only_who_has_more_than_the_newcomer(t *testing.T) {
	for joins, want := range map[string]struct {
		newcomer string
		last     int
	}{
		"aaab": {"b", 2}, "aab": {"b", -1}, "aaabbbb": {"c", 6}, "ab": {"c", -1}, "aaaa": {"a", -1}, "": {"a", -1},
	} {
		l, all := joined(joins)
		got := l.lastOfLongest(want.newcomer)
		if want.last < 0 && got != nil || want.last >= 0 && got != all[want.last] {
			t.Errorf("%s and %s: %+v", joins, want.newcomer, got)
		}
	}
}

func TestLine_is_never_lost_whatever_happens(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	l, waiting := &line{}, []*ticket{}
	for range 20000 {
		switch n := random.IntN(4); {
		case n < 2 && len(waiting) < 40:
			ticket := &ticket{tenant: string(rune('a' + random.IntN(6)))}
			l.join(ticket)
			waiting = append(waiting, ticket)
		case len(waiting) == 0:
		case n == 2:
			front := l.front()
			l.take()
			waiting = without(waiting, front)
		default:
			i := random.IntN(len(waiting))
			if !l.quit(waiting[i]) {
				t.Fatal("a ticket was not in the line")
			}
			waiting = without(waiting, waiting[i])
		}
		sum := 0
		for _, lane := range l.turns {
			sum += len(lane.tickets)
		}
		if sum != len(waiting) || l.length != sum || len(l.byTenant) != len(l.turns) || l.at > 0 && l.at >= len(l.turns) {
			t.Fatalf("%d tickets, %d in lanes, %d counted, turn %d of %d", len(waiting), sum, l.length, l.at, len(l.turns))
		}
	}
}

func without(all []*ticket, gone *ticket) (rest []*ticket) {
	for _, t := range all {
		if t != gone {
			rest = append(rest, t)
		}
	}
	return rest
}
