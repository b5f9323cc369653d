package budget

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

func TestShare_goes_on_alone_and_adds_it_when_the_counter_is_back(t *testing.T) {
	for name, fault := range map[string]func(h *hub, on bool){
		"refusing":       func(h *hub, on bool) { h.broken = map[bool]error{true: errors.New("down")}[on] },
		"answering else": func(h *hub, on bool) { h.foul = on },
		"silent": func(h *hub, on bool) {
			if on {
				h.hangs = make(chan struct{})
				return
			}
			close(h.hangs)
			h.hangs = nil
		},
		"forgetful": func(h *hub, on bool) {
			h.broken = map[bool]error{true: errors.New("down")}[on]
			h.parts, h.marks = make(map[string]map[string]part), make(map[string]string)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				h := newHub()
				var log bytes.Buffer
				var told []Event
				b := member(t, h, Options{
					Log:        slog.New(slog.NewTextHandler(&log, nil)),
					OnCrossing: func(c Crossing) { told = append(told, c.Event) },
				})
				spend(b, call("x", 40*cent))
				open, _ := b.Reserve(t.Context(), call("x", 10*cent))
				synctest.Wait()
				h.set(func() { fault(h, true) })
				for range 5 {
					spend(b, call("x", 10*cent))
					time.Sleep(10 * time.Second)
				}
				if _, v := b.Reserve(t.Context(), call("x", cent)); v.Action != Block {
					t.Errorf("alone it does not block: %+v", v)
				}
				open.Settle(Amount{NanoDollars: 20 * cent})
				time.Sleep(time.Minute)
				synctest.Wait()
				if fmt.Sprint(told) != "[budget.warning budget.reached]" {
					t.Errorf("told %v", told)
				}
				h.set(func() { fault(h, false) })
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := h.total(); got != (part{spent: 110 * cent, lease: time.Time{}}) {
					t.Errorf("told is %+v", got)
				}
				if s := b.Stats(); s.Away || s.Alone == 0 || s.Lost != 0 {
					t.Errorf("%+v", s)
				}
				if len(told) != 2 {
					t.Errorf("told again: %v", told)
				}
				for _, line := range []string{"cannot be reached", "can be reached again"} {
					if n := strings.Count(log.String(), line); n != 1 {
						t.Errorf("%q is logged %d times", line, n)
					}
				}
			})
		})
	}
}

func TestShare_tells_of_a_crossing_once_over_all_replicas(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		var mu sync.Mutex
		told := make(map[string]int)
		count := func(c Crossing) {
			mu.Lock()
			defer mu.Unlock()
			told[c.ID]++
		}
		var members []*Budgets
		for range 3 {
			members = append(members, member(t, h, Options{OnCrossing: count}))
		}
		var wg sync.WaitGroup
		for i := range 120 {
			wg.Go(func() { spend(members[i%3], call("x", cent)) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("%v", told)
		}
		for id, n := range told {
			if n != 1 {
				t.Errorf("%s is told %d times", id, n)
			}
		}
	})
}

func TestShare_loses_nothing_of_subjects_that_are_forgotten(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := member(t, h, Options{MaxSubjects: 1, Rules: []Rule{dayRule}})
		open, _ := b.Reserve(t.Context(), call("x", 10*cent))
		for range 2 {
			spend(b, call("x", 50*cent))
			for i := range MaxRules {
				spend(b, call(fmt.Sprint(i), 1))
			}
		}
		open.Settle(Amount{NanoDollars: 10 * cent})
		synctest.Wait()
		if _, v := b.Reserve(t.Context(), call("x", cent)); v.Action != Block || v.Spent != 110*cent {
			t.Errorf("%+v", v)
		}
		if b.count > MaxRules {
			t.Errorf("%d sums", b.count)
		}
	})
}

func TestShare_bounds_what_waits_to_be_told(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := member(t, h, Options{MaxSubjects: 1})
		h.set(func() { h.broken = errors.New("down") })
		for i := range 3 * MaxRules {
			spend(b, call(fmt.Sprint(i), 1))
		}
		if n := len(b.share.dirty); n > MaxRules {
			t.Errorf("%d wait", n)
		}
		if b.Stats().Lost == 0 {
			t.Error("nothing is said to be lost")
		}
	})
}
