package upstream

import (
	"net/http"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

// limited is two or more upstreams, the first of which have a limit for the first
// token.
func limited(limits ...time.Duration) (o Options) {
	var to []Candidate
	for i, limit := range limits {
		name := string(rune('a' + i))
		o.Upstreams = append(o.Upstreams, Upstream{Name: name, URL: "http://" + name, Timeouts: Timeouts{FirstToken: limit}})
		to = append(to, Candidate{Upstream: name})
	}
	o.Routes, o.Retry = []Route{{Model: "*", To: to}}, retries
	return o
}

func TestFirstToken_that_is_late_is_waited_for_elsewhere(t *testing.T) {
	const second = time.Second
	think := func(d time.Duration) func(int, http.ResponseWriter, *http.Request) {
		return events(data(role), d, data(hello))
	}
	for name, c := range map[string]struct {
		limits []time.Duration
		hedge  time.Duration
		ups    []func(int, http.ResponseWriter, *http.Request)
		want   string
		after  time.Duration
	}{
		"only a role": {[]time.Duration{5 * second, 0}, 0, []func(int, http.ResponseWriter, *http.Request){think(time.Minute), think(second)},
			"a  m closed timeout 200 billed, b  m closed ok 200", 6 * second},
		"no head": {[]time.Duration{5 * second, 0}, 0, []func(int, http.ResponseWriter, *http.Request){hang, think(second)},
			"a  m closed timeout 0 billed, b  m closed ok 200", 6 * second},
		"in time": {[]time.Duration{5 * second, 0}, 0, []func(int, http.ResponseWriter, *http.Request){think(4 * second), hang},
			"a  m closed ok 200", 4 * second},
		"longer than streams are held otherwise": {[]time.Duration{40 * second, 0}, 0, []func(int, http.ResponseWriter, *http.Request){think(time.Minute), think(second)},
			"a  m closed timeout 200 billed, b  m closed ok 200", 41 * second},
		"of the last candidate": {[]time.Duration{5 * second, 5 * second}, 0, []func(int, http.ResponseWriter, *http.Request){think(time.Minute), think(20 * second)},
			"a  m closed timeout 200 billed, b  m closed ok 200", 25 * second},
		"of two candidates": {[]time.Duration{5 * second, 3 * second, 0}, 0,
			[]func(int, http.ResponseWriter, *http.Request){think(time.Minute), hang, think(second)},
			"a  m closed timeout 200 billed, b  m closed timeout 0 billed, c  m closed ok 200", 9 * second},
		"after a hedge": {[]time.Duration{10 * second, 0}, 4 * second, []func(int, http.ResponseWriter, *http.Request){think(time.Minute), think(20 * second)},
			"a  m closed timeout 200 billed, b  m closed ok 200 hedge", 24 * second},
		"of a hedge, too": {[]time.Duration{10 * second, 3 * second, 0}, 4 * second,
			[]func(int, http.ResponseWriter, *http.Request){think(time.Minute), think(time.Minute), think(2 * second)},
			"a  m closed outrun 200 billed, b  m closed timeout 200 hedge billed, c  m closed ok 200", 9 * second},
		"of both at once": {[]time.Duration{10 * second, 6 * second, 0}, 4 * second,
			[]func(int, http.ResponseWriter, *http.Request){think(time.Minute), think(time.Minute), think(2 * second)},
			"a  m closed timeout 200 billed, b  m closed timeout 200 hedge billed, c  m closed ok 200", 12 * second},
		"and the next fails": {[]time.Duration{5 * second, 0, 0}, 0,
			[]func(int, http.ResponseWriter, *http.Request){think(time.Minute), status(500), think(second)},
			"a  m closed timeout 200 billed, b  m closed server_error 500, c  m closed ok 200", 6 * second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				o := limited(c.limits...)
				o.HedgeAfter = c.hedge
				p := newPool(t, o)
				inMemory(t, p, c.ups...)
				start := time.Now()
				_, body, answer := p.call(t, streaming())
				if body != data(role)+data(hello) || time.Since(start) != c.after {
					t.Errorf("%q after %v", body, time.Since(start))
				}
				if got := story(answer.Trail()); got != c.want {
					t.Errorf("trail %s, want %s", got, c.want)
				}
				for _, s := range p.Status() {
					if s.InFlight != 0 {
						t.Errorf("%d in flight at %s", s.InFlight, s.Upstream)
					}
				}
			})
		})
	}
}

func TestFirstToken_limits_nobody_who_has_nowhere_to_go(t *testing.T) {
	late := events(data(role), time.Minute, data(hello))
	for name, change := range map[string]func(*Options, *Request){
		"one candidate":   func(o *Options, _ *Request) { o.Routes[0].To = o.Routes[0].To[:1] },
		"no retries":      func(o *Options, _ *Request) { o.Retry = Retry{} },
		"no more time":    func(o *Options, _ *Request) { o.Retry.Within = time.Second },
		"no stream":       func(_ *Options, r *Request) { r.Body = chat("m").Body },
		"an open breaker": func(*Options, *Request) {},
		"a full queue":    func(o *Options, _ *Request) { o.Upstreams[1].MaxInFlight = 1 },
	} {
		bubble.Test(t, func(t *testing.T) {
			o, r := limited(5*time.Second, 0), streaming()
			change(&o, r)
			o.Breaker.Consecutive = 1
			p := newPool(t, o)
			ups := inMemory(t, p, late, status(500))
			switch name {
			case "an open breaker":
				done, _ := p.upstreams[1].circuits.of("m").enter()
				done(errCounted)
				p.upstreams[1].circuits.of("m").open(time.Hour)
			case "a full queue":
				p.upstreams[1].gate.taken = 1
			}
			start := time.Now()
			_, body, answer := p.call(t, r)
			if answer.Upstream != "a" || answer.Attempts != 1 || body != data(role)+data(hello) || time.Since(start) != time.Minute {
				t.Errorf("%s: %q of %s after %v and %d attempts", name, body, answer.Upstream, time.Since(start), answer.Attempts)
			}
			if len(ups[1].seen()) != 0 {
				t.Errorf("%s: the next was asked", name)
			}
		})
	}
}

func TestFirstToken_that_is_often_late_opens_the_breaker(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o := limited(5*time.Second, 0)
		o.Breaker.Consecutive = 2
		p := newPool(t, o)
		ups := inMemory(t, p, events(data(role), time.Minute, data(hello)), events(data(hello)))
		for range 5 {
			p.call(t, streaming())
		}
		if n := len(ups[0].seen()); n != 2 {
			t.Errorf("%d calls of the slow upstream", n)
		}
	})
}

// slowToLeave ends a call a second after it was told to.
type slowToLeave struct{}

func (slowToLeave) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	time.Sleep(time.Second)
	return nil, r.Context().Err()
}

func TestFirstToken_that_was_late_is_not_asked_for_again(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, limited(5*time.Second, 0))
		inMemory(t, p, hang, status(500))
		p.upstreams[0].transport = slowToLeave{}
		_, _, answer := p.call(t, streaming())
		const want = "a  m closed timeout 0, b  m closed server_error 500, b  m closed server_error 500"
		if got := story(answer.Trail()); got != want {
			t.Errorf("trail %s", got)
		}
	})
}
