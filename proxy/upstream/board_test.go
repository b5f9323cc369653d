package upstream

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
)

// A wire joins the boards of replicas inside a test.
type wire struct {
	mu   sync.Mutex
	ends []*end
}

type end struct {
	wire  *wire
	told  []string
	hears map[int]func(upstream, model string, d time.Duration)
	next  int
}

func (w *wire) end() *end {
	e := &end{wire: w, hears: map[int]func(string, string, time.Duration){}}
	w.ends = append(w.ends, e)
	return e
}

func (e *end) Opened(upstream, model string, d time.Duration) {
	e.tell(fmt.Sprintf("open %s", model), upstream, model, d)
}
func (e *end) Closed(upstream, model string) {
	e.tell(fmt.Sprintf("closed %s", model), upstream, model, 0)
}

func (e *end) tell(what, upstream, model string, d time.Duration) {
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	e.told = append(e.told, what)
	for _, other := range e.wire.ends {
		for _, f := range other.hears {
			if other != e {
				go f(upstream, model, d)
			}
		}
	}
}

func (e *end) Listen(f func(string, string, time.Duration)) func() {
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	n := e.next
	e.next++
	e.hears[n] = f
	return func() {
		e.wire.mu.Lock()
		defer e.wire.mu.Unlock()
		if e.hears[n] == nil {
			panic("stopped twice")
		}
		delete(e.hears, n)
	}
}

func TestBoard_spares_a_replica_what_another_found_out(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var w wire
		ends := []*end{w.end(), w.end(), w.end()}
		var replicas [3]*Pool
		var ups [3]*fake
		well := false
		for i := range replicas {
			replicas[i] = newPool(t, Options{Upstreams: one("http://a"), Board: ends[i]})
			ups[i] = inMemory(t, replicas[i], func(_ int, w http.ResponseWriter, _ *http.Request) {
				if !well {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})[0]
		}
		for range DefaultConsecutive {
			replicas[0].call(t, chat("m"))
		}
		synctest.Wait()
		for i, p := range replicas {
			if e := p.mustFail(t, chat("m")); e.Code != CodeUnavailable || e.RetryAfter > DefaultOpen || e.RetryAfter < DefaultOpen/2 {
				t.Errorf("replica %d: %+v", i, e)
			}
		}
		if n := len(ups[1].seen()) + len(ups[2].seen()); n != 0 {
			t.Errorf("the others called %d times", n)
		}
		if !slices.Equal(ends[0].told, []string{"open m"}) || len(ends[1].told)+len(ends[2].told) != 0 {
			t.Errorf("told: %v, %v, %v", ends[0].told, ends[1].told, ends[2].told)
		}
		time.Sleep(DefaultOpen)
		for _, p := range replicas[1:] {
			p.call(t, chat("m")) // each finds out for itself, once
			p.mustFail(t, chat("m"))
		}
		well = true
		time.Sleep(2 * DefaultOpen)
		replicas[0].call(t, chat("m"))
		synctest.Wait()
		for i, p := range replicas {
			if code, _, _ := p.call(t, chat("m")); code != 200 {
				t.Errorf("replica %d: answer %d", i, code)
			}
		}
		if want := []string{"open m", "closed m"}; !slices.Equal(ends[1].told, want) {
			t.Errorf("by its own calls the second found %v", ends[1].told)
		}
	})
}

func TestBoard_is_heard_by_the_pool_in_force_alone(t *testing.T) {
	var w wire
	own, other := w.end(), w.end()
	o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a"}, {Name: "b", URL: "http://b"}}, Board: own}
	p := newPool(t, o)
	o.Board = other // it stays what it was
	next := p.mustReload(t, o)
	if len(own.hears) != 1 || len(other.hears) != 0 {
		t.Errorf("%d and %d listen", len(own.hears), len(other.hears))
	}
	next.hear(next.upstreams[0].circuits.boardName, "m", time.Second)
	if !next.upstreams[0].circuits.of("m").isOpen() || next.upstreams[1].circuits.of("m").isOpen() {
		t.Error("the wrong upstream was left alone")
	}
	p.Close()
	next.Close()
	if next.Close(); len(own.hears) != 0 {
		t.Errorf("%d listen to a closed pool", len(own.hears))
	}
}

func TestBoard_tells_upstreams_apart_that_moved(t *testing.T) {
	names := map[string]bool{}
	for _, u := range []Upstream{{Name: "a", URL: "http://a"}, {Name: "a", URL: "http://b"}, {Name: "b", URL: "http://a"}} {
		names[boardName(&settings{Upstream: u})] = true
	}
	if len(names) != 3 {
		t.Errorf("names are %v", names)
	}
}

func TestBoard_is_not_told_of_models_without_a_breaker_of_their_own(t *testing.T) {
	var w wire
	e := w.end()
	c := newTestCircuits(Breaker{Consecutive: 1})
	c.board = e
	c.shared.feed(countFailure)
	if c.of("m").feed(countFailure); !c.shared.isOpen() || !slices.Equal(e.told, []string{"open m"}) {
		t.Errorf("told: %v", e.told)
	}
}
