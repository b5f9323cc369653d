package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

// story is what matters of a trail.
func story(trail []Attempt) string {
	var lines []string
	for _, a := range trail {
		line := fmt.Sprint(a.Upstream, " ", a.Key, " ", a.Model, " ", a.Breaker, " ", a.Outcome, " ", a.Status)
		for _, flag := range []struct {
			name string
			set  bool
		}{{" hedge", a.Hedge}, {" resume", a.Resume}, {" billed", a.Billed}} {
			if flag.set {
				line += flag.name
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func TestTrail_tells_of_every_attempt_in_its_order(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var heard []Attempt
		ups := two()
		ups[1].Keys = []Key{{Label: "k", Value: "v", Weight: 1}}
		p := newPool(t, Options{Upstreams: ups, Routes: toBoth(), Retry: retries, OnAttempt: func(a Attempt) { heard = append(heard, a) }})
		inMemory(t, p, func(_ int, w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(http.StatusInternalServerError)
		}, status(200))
		start := time.Now()
		_, _, answer := p.call(t, chat("m"))
		trail := answer.Trail()
		if got := story(trail); got != "a  m closed server_error 500, a  m closed server_error 500, b k other closed ok 200" {
			t.Errorf("trail: %s", got)
		}
		heard[2].Answered = true // which comes after it was heard of
		if !slices.Equal(trail, heard) {
			t.Errorf("heard %+v", heard)
		}
		if trail[0].Start != start || trail[0].Duration != time.Second || trail[1].Start.Before(start.Add(time.Second)) || len(trail) != answer.Attempts {
			t.Errorf("times %+v", trail)
		}
	})
}

func TestTrail_of_a_call_without_an_answer_comes_with_its_error(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := one("http://a")
		ups[0].Timeouts.Headers = time.Second
		p := newPool(t, Options{Upstreams: ups, Breaker: Breaker{Consecutive: 1}})
		inMemory(t, p, hang)
		if got := story(p.mustFail(t, chat("m")).Trail); got != "a  m closed timeout 0 billed" {
			t.Errorf("trail: %s", got)
		}
		if e := p.mustFail(t, chat("m")); e.Trail != nil || e.Attempts != 0 {
			t.Errorf("an open breaker: %+v", e.Trail)
		}
		time.Sleep(DefaultOpen)
		if got := story(p.mustFail(t, chat("m")).Trail); got != "a  m half-open timeout 0 billed" {
			t.Errorf("trail of a probe: %s", got)
		}
	})
}

func TestTrail_bills_what_a_client_left_once_it_was_sent(t *testing.T) {
	for name, c := range map[string]struct {
		first func(int, http.ResponseWriter, *http.Request)
		want  string
	}{
		"before the head":          {hang, "a  m closed client_gone 0 billed"},
		"before the first content": {events(data(role), time.Hour), "a  m closed client_gone 200 billed"},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
			inMemory(t, p, c.first, hang)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := p.Do(ctx, streaming())
			failed := (*Error)(nil)
			if !errors.As(err, &failed) || story(failed.Trail) != c.want || failed.Trail[0].Answered {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		})
	}
}

func TestTrail_tells_what_a_hedge_may_cost(t *testing.T) {
	for name, c := range map[string]struct {
		first, second func(int, http.ResponseWriter, *http.Request)
		want          string
	}{
		"the second speaks first": {hang, events(data(hello)), "a  m closed outrun 0 billed, b  other closed ok 200 hedge"},
		"the first only had a head": {events(data(role), time.Hour), events(data(hello)),
			"a  m closed outrun 200 billed, b  other closed ok 200 hedge"},
		"the first speaks first": {events(12*time.Second, data(hello)), hang, "a  m closed ok 200, b  other closed outrun 0 hedge billed"},
		"the second fails":       {events(12*time.Second, data(hello)), status(500), "a  m closed ok 200, b  other closed server_error 500 hedge"},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries, HedgeAfter: 10 * time.Second})
			inMemory(t, p, c.first, c.second)
			_, _, answer := p.call(t, streaming())
			if got := story(answer.Trail()); got != c.want {
				t.Errorf("%s: %s", name, got)
			}
			for _, a := range answer.Trail() {
				if a.Answered != (a.Outcome == OutcomeOK) {
					t.Errorf("%s: answered %t by %s", name, a.Answered, a.Upstream)
				}
			}
		})
	}
}

func TestTrail_bills_nothing_that_was_not_sent(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries, HedgeAfter: time.Second})
		inMemory(t, p, hang, events(data(hello)))
		transport := newTransport(p.upstreams[0].address, 0)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		p.upstreams[0].use(transport)
		_, _, answer := p.call(t, streaming())
		if got := story(answer.Trail()); got != "a  m closed outrun 0, b  other closed ok 200 hedge" {
			t.Errorf("trail: %s", got)
		}
	})
}

func TestTrail_bills_a_stream_that_failed_before_it_spoke_unless_it_is_the_answer(t *testing.T) {
	broken := events(data(role), data(`{"error":{"message":"overloaded"}}`))
	for name, c := range map[string]struct {
		second func(int, http.ResponseWriter, *http.Request)
		want   string
	}{
		"another answers": {events(data(hello)), "a  m closed server_error 200 billed, b  other closed ok 200"},
		"nobody answers":  {hang, "a  m closed server_error 200, b  other closed timeout 0 billed"},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: Retry{Attempts: 1}})
			inMemory(t, p, broken, c.second)
			_, _, answer := p.call(t, streaming())
			if got := story(answer.Trail()); got != c.want {
				t.Errorf("%s: %s", name, got)
			}
		})
	}
}

func TestTrail_of_nothing_is_empty(t *testing.T) {
	if trail := new(Answer).Trail(); trail != nil {
		t.Errorf("trail %v", trail)
	}
}
