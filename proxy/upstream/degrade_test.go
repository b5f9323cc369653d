package upstream

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

// cheaper is a route of a and b, each with one place and no queue, to cheaper c and d.
func cheaper() Options {
	none := Queue{Length: -1}
	return Options{
		Upstreams: []Upstream{
			{Name: "a", URL: "http://a", MaxInFlight: 1, Queue: none}, {Name: "b", URL: "http://b", MaxInFlight: 1, Queue: none},
			{Name: "c", URL: "http://c", MaxInFlight: 1, Queue: none}, {Name: "d", URL: "http://d", MaxInFlight: 1, Queue: none},
		},
		Routes: []Route{
			{Model: "m", To: []Candidate{{"a", ""}, {"b", ""}}, Degrade: []Candidate{{"c", "small"}, {"d", "tiny"}}},
			{Model: "*", To: []Candidate{{"a", ""}, {"b", ""}}},
		},
		Retry: retries,
	}
}

func TestDegrade_is_for_calls_that_find_no_place(t *testing.T) {
	for name, c := range map[string]struct {
		full   string // upstreams
		model  string
		a      func(int, http.ResponseWriter, *http.Request)
		want   string // its upstream and model, else the error's code
		cheap  bool
		change func(*Options, *Request)
	}{
		"there is room":         {"", "m", status(200), "a m", false, nil},
		"there is room at b":    {"a", "m", status(200), "b m", false, nil},
		"no room":               {"ab", "m", nil, "c small", true, nil},
		"no room at c, either":  {"abc", "m", nil, "d tiny", true, nil},
		"no room anywhere":      {"abcd", "m", nil, CodeOverloaded, false, nil},
		"another route":         {"ab", "x", nil, CodeOverloaded, false, nil},
		"one fails":             {"b", "m", status(500), "a m", false, nil},
		"one is left alone":     {"b", "m", nil, CodeUnavailable, false, nil},
		"the call waited":       {"ab", "m", nil, "c small", true, func(o *Options, _ *Request) { o.Upstreams[0].Queue = Queue{Wait: time.Second} }},
		"a budget is exhausted": {"", "m", nil, "c small", true, func(_ *Options, r *Request) { r.Degrade = true }},
		"that, and no room":     {"c", "m", nil, "d tiny", true, func(_ *Options, r *Request) { r.Degrade = true }},
		"that, and no cheaper":  {"", "x", nil, CodeNoCheaper, false, func(_ *Options, r *Request) { r.Degrade = true }},
	} {
		bubble.Test(t, func(t *testing.T) {
			o, r := cheaper(), chat(c.model)
			if c.change != nil {
				c.change(&o, r)
			}
			p := newPool(t, o)
			if c.a == nil {
				c.a = status(200)
			}
			inMemory(t, p, c.a, status(200), status(200), status(200))
			for _, u := range p.upstreams {
				for _, name := range c.full {
					if u.name == string(name) {
						u.gate.taken = 1
					}
				}
			}
			if name == "one is left alone" {
				p.upstreams[0].circuits.of("m").open(time.Hour)
			}
			if p.Degrades(c.model) != (c.model == "m") {
				t.Errorf("%s: degrades: %v", name, p.Degrades(c.model))
			}
			start := time.Now()
			answer, err := p.Do(t.Context(), r)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) || e.Code != c.want || e.Trail != nil {
					t.Errorf("%s: %+v", name, err)
				}
				return
			}
			answer.Finish(Completed)
			if got := answer.Upstream + " " + answer.Model; got != c.want || answer.Degraded != c.cheap {
				t.Errorf("%s: answer of %s, degraded: %v", name, got, answer.Degraded)
			}
			if wait := time.Since(start); name == "the call waited" && wait != time.Second {
				t.Errorf("it waited for %v", wait)
			}
		})
	}
}

func TestDegrade_repeats_as_ever(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, cheaper())
		ups := inMemory(t, p, status(200), status(200), status(503), status(200))
		r := chat("m")
		r.Degrade = true
		code, _, answer := p.call(t, r)
		if code != 200 || answer.Upstream != "d" || !answer.Degraded || answer.Attempts != 3 || len(ups[0].seen())+len(ups[1].seen()) != 0 {
			t.Errorf("answer %d of %s after %s", code, answer.Upstream, story(answer.Trail()))
		}
		if got := ups[3].seen()[0].body; got != `{"model":"tiny","messages":[]}` {
			t.Errorf("sent %s", got)
		}
	})
}

func TestDegrade_ends_with_the_crowd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o := cheaper()
		o.Routes[0].To = o.Routes[0].To[:1]
		p := newPool(t, o)
		inMemory(t, p, func(int, http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }, status(200), status(200), status(200))
		go func() {
			if answer, err := p.Do(context.Background(), chat("m")); err == nil {
				answer.Finish(Completed)
			}
		}()
		synctest.Wait()
		for _, want := range []string{"c", "a"} {
			if _, _, answer := p.call(t, chat("m")); answer.Upstream != want {
				t.Errorf("answer of %s, want %s", answer.Upstream, want)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

func TestDegrade_names_known_upstreams(t *testing.T) {
	o := cheaper()
	o.Routes[0].Degrade[1].Upstream = "e"
	if _, err := New(o); err == nil {
		t.Error("no error")
	}
}
