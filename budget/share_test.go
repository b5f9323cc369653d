package budget

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

var dayRule = Rule{Name: "day", Scope: Tenant, Limit: dollars(1), Per: Day, Action: Block, WarnAt: 0.8}

// member is a replica that shares a hub, closed at the end of the test.
func member(t *testing.T, h *hub, opts Options) *Budgets {
	t.Helper()
	opts.Counter = h
	if opts.Rules == nil {
		opts.Rules = []Rule{dayRule}
	}
	b := newBudgets(t, opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = b.Close(ctx) // the hub may be broken
	})
	return b
}

func TestShare_lets_replicas_know_of_each_other(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		a, b := member(t, h, Options{}), member(t, h, Options{})
		r, _ := a.Reserve(t.Context(), call("x", 70*cent))
		if _, v := b.Reserve(t.Context(), call("x", 30*cent)); v.Action != Allow {
			t.Fatalf("%+v", v)
		}
		if _, v := a.Reserve(t.Context(), call("x", cent)); v.Action != Block || v.Reserved != 100*cent {
			t.Errorf("%+v", v)
		}
		r.Settle(Amount{NanoDollars: 10 * cent})
		synctest.Wait()
		if _, v := b.Reserve(t.Context(), call("x", 60*cent)); v.Action != Allow {
			t.Errorf("%+v", v)
		}
		if s := b.Status(Query{})[0]; s.Spent != 10*cent || s.Reserved != 90*cent {
			t.Errorf("%+v", s)
		}
	})
}

func TestShare_repeats_reservations_as_long_as_a_call_takes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		a, b := member(t, h, Options{}), member(t, h, Options{})
		r, _ := a.Reserve(t.Context(), call("x", 100*cent))
		for range 100 {
			time.Sleep(DefaultLease / 2)
			if _, v := b.Reserve(t.Context(), call("x", cent)); v.Action != Block {
				t.Fatal("the reservation of a long call has expired")
			}
		}
		r.Settle(Amount{})
		time.Sleep(2 * DefaultLease)
		if got := h.total(); got != (part{}) {
			t.Errorf("left is %+v", got)
		}
		if len(a.share.open) != 0 {
			t.Error("a call that has ended is repeated")
		}
	})
}

func TestShare_makes_no_call_wait_longer_than_the_deadline(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := member(t, h, Options{})
		hangs := make(chan struct{})
		h.set(func() { h.hangs = hangs })
		begin := time.Now()
		r, v := b.Reserve(t.Context(), call("x", cent))
		if took := time.Since(begin); took != DefaultDeadline || v.Action != Allow {
			t.Errorf("%s, %+v", took, v)
		}
		time.Sleep(time.Millisecond)
		next, _ := b.Reserve(t.Context(), call("x", cent))
		if took := time.Since(begin); took != DefaultDeadline+time.Millisecond {
			t.Errorf("the next call waits too: %s", took)
		}
		close(hangs)
		r.Settle(Amount{NanoDollars: cent})
		synctest.Wait()
		if got := h.total(); got.spent != cent || got.reserved != cent {
			t.Errorf("%+v", got)
		}
		next.Settle(Amount{})
		synctest.Wait()
		if s := b.Stats(); s != (Stats{Alone: 2}) || h.total().reserved != 0 {
			t.Errorf("%+v, %+v", s, h.total())
		}
	})
}

func TestShare_decides_alone_when_the_caller_leaves(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := member(t, h, Options{Deadline: time.Hour})
		hangs := make(chan struct{})
		h.set(func() { h.hangs = hangs })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, v := b.Reserve(ctx, call("x", cent))
		if r == nil || v.Action != Allow {
			t.Fatalf("%+v", v)
		}
		r.Settle(Amount{})
		close(hangs)
		synctest.Wait()
		if got := h.total(); got != (part{}) {
			t.Errorf("left is %+v", got)
		}
	})
}

func TestShare_forgets_calls_that_cost_nothing(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := member(t, h, Options{})
		for i := range 20 {
			r, _ := b.Reserve(t.Context(), call(fmt.Sprint("made up ", i), cent))
			r.Settle(Amount{})
		}
		synctest.Wait()
		if b.count != 0 {
			t.Errorf("%d sums of nothing", b.count)
		}
	})
}

func TestReload_changes_rules_while_calls_wait(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := member(t, h, Options{Deadline: time.Hour})
		spend(b, call("x", 100*cent))
		synctest.Wait()
		hangs := make(chan struct{})
		h.set(func() { h.hangs = hangs })
		var r *Reservation
		var v Verdict
		var wg sync.WaitGroup
		wg.Go(func() { r, v = b.Reserve(t.Context(), call("x", cent)) })
		synctest.Wait()
		if err := b.Reload(nil); err != nil {
			t.Fatal(err)
		}
		close(hangs)
		wg.Wait()
		if r == nil || v.Action != Allow {
			t.Errorf("a budget that is gone refuses: %+v", v)
		}
		r.Settle(Amount{NanoDollars: cent})
		synctest.Wait()
		if got := h.total(); got.spent != 101*cent || got.reserved != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestClose_tells_the_last_sums(t *testing.T) {
	h := newHub()
	b := newBudgets(t, Options{Counter: h, Rules: []Rule{dayRule}})
	for i := range 1000 {
		spend(b, call(fmt.Sprint(i), cent))
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.total().spent; got != 1000*cent {
		t.Errorf("%d", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if !spend(b, call("late", cent)) {
		t.Error("closed budgets block")
	}
	h = newHub()
	h.broken = errors.New("down")
	b = newBudgets(t, Options{Counter: h, Rules: []Rule{dayRule}})
	spend(b, call("x", cent))
	if err := b.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "down") {
		t.Errorf("%v", err)
	}
}

func TestClose_does_not_wait_longer_than_its_context(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		h := newHub()
		b := newBudgets(t, Options{Counter: h, Rules: []Rule{dayRule}})
		h.set(func() { h.hangs = make(chan struct{}) })
		spend(b, call("x", cent))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(exchangeTimeout) // then the exchange under way has ended
	})
}
