package summarize

import (
	"fmt"
	"testing"
	"time"

	"mnemo/memory"
)

func TestPauses_double_up_to_a_bound_and_end_with_a_success(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPauses(func() time.Time { return now })
	least := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240}
	for i, seconds := range least {
		if p.holds(key) {
			t.Fatalf("paused before failure %d", i+1)
		}
		p.failed(key)
		if now = now.Add(seconds*time.Second - 1); !p.holds(key) {
			t.Errorf("failure %d: the pause is shorter than %v s", i+1, seconds)
		}
		if now = now.Add(seconds*time.Second/4 + 1); p.holds(key) {
			t.Errorf("failure %d: the pause is longer than %v s and a quarter", i+1, seconds)
		}
	}
	for range 100 {
		p.failed(key)
	}
	if now = now.Add(5 * time.Minute); p.holds(key) {
		t.Error("paused for more than five minutes")
	}
	p.failed(key)
	p.succeeded(key)
	if p.holds(key) {
		t.Error("paused after a success")
	}
	p.failed(key)
	if now = now.Add(1250 * time.Millisecond); p.holds(key) {
		t.Error("a success did not make the next pause short again")
	}
}

func TestPauses_for_a_session_that_is_at_work_elsewhere_are_short_and_no_failure(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPauses(func() time.Time { return now })
	for range 5 {
		p.occupied(key)
		if !p.holds(key) {
			t.Error("not paused")
		}
		now = now.Add(time.Second)
		if p.holds(key) {
			t.Error("paused for more than a second")
		}
	}
	p.failed(key)
	if now = now.Add(1250 * time.Millisecond); p.holds(key) {
		t.Error("the first failure is taken for the sixth")
	}
}

func TestPauses_are_of_bounded_number(t *testing.T) {
	p := newPauses(time.Now)
	session := func(i int) memory.Key { return memory.Key{Tenant: "t", Session: fmt.Sprint(i)} }
	for i := range rememberedPauses + 100 {
		p.failed(session(i))
	}
	if n := p.sessions.Len(); n != rememberedPauses {
		t.Errorf("%d are remembered", n)
	}
	if p.holds(session(99)) || !p.holds(session(100)) {
		t.Error("others than the oldest were forgotten")
	}
}
