package upstream

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestStatus_shows_keys_and_breakers(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := newPool(t, Options{
		Upstreams: []Upstream{{Name: "a", URL: "http://a", Keys: []Key{{Label: "x", Value: "1", Weight: 1}, {Label: "y", Value: "2", Weight: 1}, {Label: "z", Value: "3", Weight: 1}}}},
		Breaker:   Breaker{Consecutive: 1},
		Now:       func() time.Time { return now },
	})
	u := p.upstreams[0]
	u.keys.cool(u.keys.keys[1], time.Minute, now)
	u.keys.refuse(u.keys.keys[2], 401, "m", true, now)
	u.keys.keys[2].bar.until = now.Add(time.Hour) // not a random part of it
	u.circuits.of("m").feed(countFailure)
	for _, effect := range []breakerEffect{countSuccess, countSuccess, countSuccess} {
		u.circuits.of("").feed(effect)
	}
	u.latencies.record(time.Second)
	got := p.Status()
	if wait := &got[0].Breakers[2].Wait; !nearly(*wait, DefaultOpen) {
		t.Errorf("open for %v", *wait)
	} else {
		*wait = DefaultOpen
	}
	want := []Status{{
		Upstream: "a", FirstByteP50: time.Second, FirstByteP95: time.Second, ErrorRate: 0.25,
		Keys: []KeyStatus{{Label: "x", State: KeyOK}, {Label: "y", State: KeyCooling, Cooldown: time.Minute}, {Label: "z", State: KeyOut, Cooldown: time.Hour}},
		Breakers: []BreakerStatus{
			{Model: "", State: "closed", Calls: 3}, {Model: "*", State: "closed"},
			{Model: "m", State: "open", Wait: DefaultOpen, Calls: 1, ErrorRate: 1},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("status = %+v, want %+v", got, want)
	}
}

func TestStatus_is_usable_if_one_upstream_is(t *testing.T) {
	p := newPool(t, Options{Upstreams: two(), Breaker: Breaker{Consecutive: 1}})
	if !p.Usable() {
		t.Error("a fresh pool is not usable")
	}
	p.upstreams[0].circuits.of("m").feed(countFailure)
	if !p.Usable() {
		t.Error("not usable with the second upstream closed")
	}
	p.upstreams[1].circuits.of("m").feed(countFailure)
	if p.Usable() {
		t.Error("usable with every breaker open")
	}
	p.upstreams[1].circuits.of("other")
	if !p.Usable() {
		t.Error("one model's breaker makes the pool unusable")
	}
}

func TestError_says_what_happened_and_why(t *testing.T) {
	cause := errors.New("connection refused")
	e := unreachable("a", cause)
	if !errors.Is(e, cause) || e.Error() != "upstream a cannot be reached: connection refused" || strings.Contains(e.Message, "refused") {
		t.Errorf("error = %v, message %q", e, e.Message)
	}
	if got := unavailable("a", time.Second).Error(); !strings.Contains(got, "upstream a") {
		t.Errorf("error = %s", got)
	}
	if got := oneLine("a\xff" + strings.Repeat("x", 1000)); len(got) != 128 || strings.Contains(got, "\xff") {
		t.Errorf("oneLine = %q", got)
	}
}
