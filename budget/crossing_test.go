package budget

import (
	"bytes"
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestBudgets_tell_of_a_crossing_once(t *testing.T) {
	var mu sync.Mutex
	var told []Crossing
	var log bytes.Buffer
	c := newClock(noon)
	b := newBudgets(t, Options{
		Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil)),
		OnCrossing: func(c Crossing) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, c)
		},
		Rules: []Rule{{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block, WarnAt: 0.8}},
	})
	for day := range 2 {
		c.set(noon.AddDate(0, 0, day))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { spend(b, call("a", 2*cent)) })
		}
		wg.Wait()
	}
	slices.SortFunc(told, func(a, b Crossing) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Spent, b.Spent)) })
	ids := make(map[string]bool)
	for i, c := range told {
		event, spent := Warning, 80*cent
		if i%2 == 1 {
			event, spent = Reached, 100*cent
		}
		if c.Event != event || c.Spent < int64(spent) || c.Rule != "day" || c.Subject.Tenant != "a" || c.Resets.Day() != 22+i/2 {
			t.Errorf("%d: %+v", i, c)
		}
		ids[c.ID] = true
	}
	if len(told) != 4 || len(ids) != 4 {
		t.Errorf("%d crossings, %d ids, want 4", len(told), len(ids))
	}
	for _, want := range []string{`a budget is nearly used up" budget=day subject.tenant=a action=block`, `limit="1.00 USD" per=day resets=2026-11-22`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}
