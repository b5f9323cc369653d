package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// callsAtATime are the clients of a storm.
const callsAtATime = 20

// A storm is what many calls came to.
type storm struct {
	calls, good int64
	attempts    int64            // of the good ones
	from        map[string]int64 // by upstream
}

// storms makes so many calls, streams and not, some of them in sessions.
func storms(t *testing.T, m *mnemo, calls int) *storm {
	t.Helper()
	s := &storm{from: map[string]int64{}}
	var mu sync.Mutex
	var next atomic.Int64
	var going sync.WaitGroup
	for client := range callsAtATime {
		going.Go(func() {
			for n := next.Add(1); n <= int64(calls); n = next.Add(1) {
				q := turn{text: fmt.Sprintf("Call %d.", n), stream: n%2 == 0}
				if client%2 == 0 {
					q.session = fmt.Sprint("storm-", client)
				}
				a, err := m.ask(t.Context(), q)
				mu.Lock()
				s.calls++
				if err == nil && a.status == http.StatusOK && a.text == heard(q.text) {
					s.good++
					tries, _ := strconv.ParseInt(a.header.Get("X-Upstream-Attempts"), 10, 64)
					s.attempts += tries
					s.from[a.header.Get("X-Upstream")]++
				}
				mu.Unlock()
			}
		})
	}
	going.Wait()
	return s
}

// An upstream without another behind it fails every other call, by chance.
func TestStorm_over_an_upstream_that_fails_half_of_its_calls(t *testing.T) {
	rng, mu := rand.New(rand.NewPCG(4, 5)), new(sync.Mutex)
	up := newActor(t, "up", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		mu.Lock()
		bad := rng.IntN(2) == 0
		mu.Unlock()
		return bad && fails(500, "oops")(w, r, n)
	})
	m := serve(t, setup{file: pooled(up.entry(", keys: [{value: sk-1}]"), "retry: {attempts: 9}\n")})
	s := storms(t, m, 500)
	ratio := float64(up.begun.Load()) / float64(s.calls)
	if share := float64(s.good) / float64(s.calls); share < 0.99 || ratio > 2.2 {
		t.Errorf("%.1f %% of the calls are answered, with %.2f attempts each", 100*share, ratio)
	}
	t.Logf("%d of %d calls are answered, %.2f attempts each", s.good, s.calls, ratio)
}

func TestStorm_over_an_upstream_that_dies_and_comes_back(t *testing.T) {
	const openMax = 3 * time.Second
	dead, next := newActor(t, "dead", fails(503, "overloaded")), newActor(t, "next", nil)
	m := serve(t, setup{file: pooled(dead.entry(", keys: [{value: sk-1}]")+next.entry(", keys: [{value: sk-2}]"),
		fmt.Sprintf("breaker: {open: 1s, open_max: %v}\nroutes: [{model: \"*\", to: [{upstream: dead}, {upstream: next}]}]\n", openMax))})
	s := storms(t, m, 200)
	found := dead.begun.Load()
	if s.good != 200 || s.from["next"] != 200 {
		t.Errorf("of 200 calls %d are answered, by %v", s.good, s.from)
	}
	// Twenty in a row open the breaker; those that are under way then end, too.
	if found > 20+callsAtATime {
		t.Errorf("the dead one got %d calls", found)
	}
	begin := time.Now()
	for time.Since(begin) < 2*time.Second {
		if s := storms(t, m, callsAtATime); s.good != callsAtATime {
			t.Errorf("%d calls are not answered", callsAtATime-s.good)
		}
	}
	probes := dead.begun.Load() - found
	if probes > 3 {
		t.Errorf("while it was open, the dead one got %d calls", probes)
	}
	dead.does(nil)
	back := time.Now()
	for {
		if a := m.says(t, turn{text: "Hello."}, heard("Hello.")); a.header.Get("X-Upstream") == "dead" {
			break
		}
		if time.Since(back) > patience {
			t.Fatal("it is never asked again")
		}
		<-time.After(20 * time.Millisecond)
	}
	took := time.Since(back)
	if took > openMax+5*time.Second { // the machine may be busy
		t.Errorf("it is back after %v", took)
	}
	if s := storms(t, m, 100); s.from["dead"] != 100 {
		t.Errorf("when it is back, the calls are answered by %v", s.from)
	}
	t.Logf("the dead one got %d calls of 200, %d probes in 2 s, and was back after %v of %v at most", found, probes, took.Round(10*time.Millisecond), openMax)
}

func TestStorm_over_a_bad_key_of_two(t *testing.T) {
	up := newActor(t, "up", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		return r.Header.Get("Authorization") == "Bearer sk-bad" && fails(401, "invalid_api_key")(w, r, n)
	})
	m := serve(t, setup{file: pooled(up.entry(", keys: [{label: bad, value: sk-bad}, {label: good, value: sk-good}]"), "")})
	m.says(t, turn{text: "Hello."}, heard("Hello."))
	m.says(t, turn{text: "Hello."}, heard("Hello."))
	s := storms(t, m, 500)
	if hits := up.with("sk-bad"); s.good != 500 || hits < 1 || hits > 3 {
		t.Errorf("%d of 500 calls are answered, after %d with the bad key", s.good, hits)
	}
	_, table := m.upstreams(t)
	wantRow(t, table, "up bad out for")
	if lines := m.log.all(`"level":"WARN"`); len(lines) != 1 {
		t.Errorf("it warns %d times: %s", len(lines), lines)
	}
	t.Logf("%d of 500 calls are answered, %d were made with the bad key", s.good, up.with("sk-bad"))
}

// All begin at once: before anybody knows, each key may be asked by each client.
func TestStorm_over_a_bad_key_of_two_from_the_start(t *testing.T) {
	up := newActor(t, "up", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		return r.Header.Get("Authorization") == "Bearer sk-bad" && fails(401, "invalid_api_key")(w, r, n)
	})
	m := serve(t, setup{file: pooled(up.entry(", keys: [{label: bad, value: sk-bad}, {label: good, value: sk-good}]"), "")})
	s := storms(t, m, 500)
	if hits := up.with("sk-bad"); s.good != 500 || hits > callsAtATime {
		t.Errorf("%d of 500 calls are answered, after %d with the bad key", s.good, hits)
	}
	t.Logf("%d of 500 calls are answered, %d were made with the bad key", s.good, up.with("sk-bad"))
}

func TestStorm_over_a_limited_key_of_three(t *testing.T) {
	up := newActor(t, "up", func(w http.ResponseWriter, r *http.Request, n int64) bool {
		return r.Header.Get("Authorization") == "Bearer sk-c" && fails(429, "rate_limit_exceeded", "Retry-After: 30")(w, r, n)
	})
	m := serve(t, setup{file: pooled(up.entry(", keys: [{label: a, value: sk-a}, {label: b, value: sk-b}, {label: c, value: sk-c}]"), "")})
	for range 3 {
		m.says(t, turn{text: "Hello."}, heard("Hello."))
	}
	if got := up.with("sk-c"); got != 1 {
		t.Fatalf("the limited key was asked %d times", got)
	}
	s := storms(t, m, 500)
	if hits := up.with("sk-c"); s.good != 500 || hits != 1 {
		t.Errorf("%d of 500 calls are answered, after %d with the limited key", s.good, hits)
	}
	if a, b := up.with("sk-a"), up.with("sk-b"); a < 200 || b < 200 {
		t.Errorf("the others got %d and %d", a, b)
	}
	_, table := m.upstreams(t)
	wantRow(t, table, "up c cooling for 2")
	t.Logf("%d of 500 calls are answered, %d more were made with the limited key", s.good, up.with("sk-c")-1)
}
