package budget

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

func TestStatus_tells_the_fullest_first(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{
		{Name: "all", Scope: Global, Limit: dollars(10), Per: Month, Action: Degrade},
		{Name: "tenant", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block},
		{Name: "session", Scope: Session, Tenant: "a", Limit: dollars(2), Per: Hour, Action: Warn},
	}})
	spend(b, call("a", 50*cent))
	spend(b, call("b", 20*cent))
	r, _ := b.Reserve(t.Context(), call("b", 10*cent))
	defer r.Settle(Amount{})
	want := []State{
		{Rule: "tenant", Scope: Tenant, Action: Block, Subject: Subject{Tenant: "a"}, Spent: 50 * cent},
		{Rule: "tenant", Scope: Tenant, Action: Block, Subject: Subject{Tenant: "b"}, Spent: 20 * cent, Reserved: 10 * cent},
		{Rule: "session", Scope: Session, Action: Warn, Subject: Subject{Tenant: "a", Session: "s"}, Spent: 50 * cent},
		{Rule: "all", Scope: Global, Action: Degrade, Spent: 70 * cent, Reserved: 10 * cent},
	}
	for name, c := range map[string]struct {
		query Query
		want  []State
	}{
		"all":              {Query{}, want},
		"some":             {Query{Most: 2}, want[:2]},
		"one":              {Query{Most: 1}, want[:1]},
		"of a tenant":      {Query{Tenant: "a"}, []State{want[0], want[2]}},
		"of a rule":        {Query{Rule: "all"}, want[3:]},
		"of both":          {Query{Rule: "tenant", Tenant: "b"}, want[1:2]},
		"of nobody":        {Query{Tenant: "c"}, nil},
		"a senseless most": {Query{Most: -1}, want},
	} {
		got := b.Status(c.query)
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i, s := range got {
			w := c.want[i]
			w.Limit, w.Per, w.From, w.Resets, w.account = s.Limit, s.Per, s.From, s.Resets, s.account
			if s != w {
				t.Errorf("%s: %d is %+v\nwant %+v", name, i, s, w)
			}
		}
	}
	if s := b.Status(Query{Rule: "tenant"})[0]; s.Limit != dollars(1) || s.Per != Day || s.From.Hour() != 0 || s.Resets.Day() != 22 {
		t.Errorf("%+v", s)
	}
}

func TestStatus_is_bounded(t *testing.T) {
	b := newBudgets(t, Options{Rules: []Rule{{Name: "tenant", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block}}})
	for i := range 5 * MaxStates {
		spend(b, call(fmt.Sprint(i), int64(i+1)))
	}
	if got := b.Status(Query{Most: 10 * MaxStates}); len(got) != MaxStates || got[0].Spent != 5*MaxStates || got[MaxStates-1].Spent != 4*MaxStates+1 {
		t.Errorf("%d, %+v", len(got), got[0])
	}
	if got := b.Status(Query{}); len(got) != DefaultStates {
		t.Errorf("%d", len(got))
	}
}

func TestStatus_leaves_out_windows_that_have_ended(t *testing.T) {
	c := newClock(noon)
	b := newBudgets(t, Options{Now: c.now, Rules: []Rule{
		{Name: "all", Scope: Global, Limit: dollars(1), Per: Hour, Action: Block},
		{Name: "tenant", Scope: Tenant, Limit: dollars(1), Per: Hour, Action: Block},
	}})
	spend(b, call("a", cent))
	c.set(noon.Add(time.Hour))
	if got := b.Status(Query{}); len(got) != 1 || got[0].Spent != 0 || got[0].Resets.Hour() != 14 {
		t.Errorf("%+v", got)
	}
}

func TestStatus_of_an_idle_replica_follows_the_others(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		rules := []Rule{{Name: "all", Scope: Global, Limit: dollars(1), Per: Hour, Action: Block}}
		busy, idle := member(t, h, Options{Rules: rules}), member(t, h, Options{Rules: rules})
		for i := range 3 {
			spend(busy, call("a", cent))
			synctest.Wait()
			idle.Status(Query{})
			synctest.Wait()
			if got := idle.Status(Query{}); got[0].Spent != int64(i+1)*cent {
				t.Errorf("%+v", got)
			}
		}
	})
}
