package budget

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A deed is a call as the naive model remembers it.
type deed struct {
	Call
	at      time.Time
	actual  Amount
	settled bool
	*Reservation
}

// A ledger is every call ever admitted; its sums are added up anew each time.
type ledger struct {
	rules []Rule
	deeds []*deed
}

// used is what counts against a rule for a call at a time.
func (l *ledger) used(r Rule, c Call, at time.Time) (spent, reserved int64) {
	from, until := r.Per.Window(at)
	for _, d := range l.deeds {
		same := r.Scope == Global || r.Scope == Tenant && d.Tenant == c.Tenant ||
			r.Scope == Session && d.Tenant == c.Tenant && d.Session == c.Session || r.Scope == Model && d.Model == c.Model
		if !same || !about(r, d.Call) || d.at.Before(from) || !d.at.Before(until) {
			continue
		}
		if d.settled {
			spent += figure(d.actual, r)
		} else {
			reserved += figure(d.Estimate, r)
		}
	}
	return spent, reserved
}

func about(r Rule, c Call) bool {
	name := map[Scope]string{Tenant: c.Tenant, Session: c.Session, Model: c.Model}[r.Scope]
	return newPattern(r.Tenant).matches(c.Tenant) && newPattern(r.Match).matches(name) &&
		(r.Scope == Global || name != "")
}

func figure(a Amount, r Rule) int64 {
	if r.Limit.Unit == USD {
		return a.NanoDollars
	}
	return a.Tokens
}

func (l *ledger) verdict(c Call, at time.Time) (v Verdict) {
	for _, r := range l.rules {
		if !about(r, c) {
			continue
		}
		spent, reserved := l.used(r, c, at)
		_, resets := r.Per.Window(at)
		worse := r.Action.severity() - v.Action.severity()
		if spent+reserved >= r.Limit.Amount && (worse > 0 || worse == 0 && resets.After(v.Resets)) {
			v = Verdict{Action: r.Action, Rule: r.Name, Spent: spent, Reserved: reserved, Limit: r.Limit, Per: r.Per, Resets: resets}
		}
	}
	return v
}

func TestBudgets_agree_with_a_naive_model(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compare(t, rand.New(rand.NewPCG(seed, 5))) })
	}
}

func compare(t *testing.T, random *rand.Rand) {
	l := &ledger{rules: randomRules(random)}
	// The ends of a leap year's February, of a year and of months of all lengths are near.
	starts := []time.Time{
		time.Date(2028, 2, 27, 20, 0, 0, 0, time.UTC), time.Date(2027, 2, 27, 20, 0, 0, 0, time.UTC),
		time.Date(2026, 12, 30, 20, 0, 0, 0, time.UTC), time.Date(2026, 11, 29, 20, 0, 0, 0, time.UTC),
	}
	c := newClock(starts[random.IntN(len(starts))])
	b := newBudgets(t, Options{Now: c.now, Rules: l.rules})
	var open []*deed
	for step := range 600 {
		c.set(c.now().Add(time.Duration(random.Int64N(int64(30 * time.Minute)))))
		if random.IntN(2) == 0 && len(open) > 0 {
			i := random.IntN(len(open))
			d := open[i]
			open = slices.Delete(open, i, i+1)
			d.actual = randomAmount(random)
			d.settled = true
			d.Settle(d.actual)
			continue
		}
		d := &deed{at: c.now(), Call: Call{
			Tenant: []string{"a", "b", "ab"}[random.IntN(3)], Session: []string{"", "s", "t"}[random.IntN(3)],
			Model: []string{"m", "n"}[random.IntN(2)], Estimate: randomAmount(random),
		}}
		want := l.verdict(d.Call, d.at)
		r, got := b.Reserve(t.Context(), d.Call)
		got.Subject = Subject{}
		if got != want {
			t.Fatalf("step %d at %s: %+v\nsays %+v\nwant %+v", step, d.at, d.Call, got, want)
		}
		if got.Action != Block {
			d.Reservation = r
			l.deeds, open = append(l.deeds, d), append(open, d)
		}
	}
	for _, s := range b.Status(Query{Most: MaxStates}) {
		i := slices.IndexFunc(l.rules, func(r Rule) bool { return r.Name == s.Rule })
		spent, reserved := l.used(l.rules[i], Call{Tenant: s.Subject.Tenant, Session: s.Subject.Session, Model: s.Subject.Model}, c.now())
		if s.Spent != spent || s.Reserved != reserved {
			t.Errorf("%+v: want %d spent, %d reserved", s, spent, reserved)
		}
	}
}

func randomRules(random *rand.Rand) (rules []Rule) {
	for i := range 1 + random.IntN(6) {
		r := Rule{
			Name: fmt.Sprint("r", i), Scope: []Scope{Global, Tenant, Session, Model}[random.IntN(4)],
			Tenant: []string{"", "a*", "b"}[random.IntN(3)], Per: []Period{Hour, Day, Month}[random.IntN(3)],
			Action: []Action{Warn, Degrade, Block}[random.IntN(3)], Limit: Limit{1 + random.Int64N(5000), []Unit{USD, Tokens}[random.IntN(2)]},
		}
		if r.Scope != Global && random.IntN(3) == 0 {
			r.Match = []string{"a", "*b", "s", "m*"}[random.IntN(4)]
		}
		rules = append(rules, r)
	}
	return rules
}

func randomAmount(random *rand.Rand) Amount {
	return Amount{NanoDollars: random.Int64N(100), Tokens: random.Int64N(200)}
}
