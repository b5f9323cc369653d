package upstream

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestLatency_quantiles_are_of_the_last_answers(t *testing.T) {
	var l latencies
	if p50, p95 := l.quantiles(); p50 != 0 || p95 != 0 {
		t.Errorf("of nothing: %v, %v", p50, p95)
	}
	l.record(7)
	if p50, p95 := l.quantiles(); p50 != 7 || p95 != 7 {
		t.Errorf("of one: %v, %v", p50, p95)
	}
	for range 10 * latencySamples {
		l.record(time.Hour)
	}
	for i := range latencySamples {
		l.record(time.Duration(i + 1))
	}
	if p50, p95 := l.quantiles(); p50 != 128 || p95 != 244 {
		t.Errorf("of 1 to 256: %v, %v", p50, p95)
	}
}

func TestLatency_takes_records_from_many(t *testing.T) {
	var l latencies
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 1000 {
				l.record(time.Second)
				l.quantiles()
			}
		})
	}
	callers.Wait()
	if p50, p95 := l.quantiles(); p50 != time.Second || p95 != time.Second {
		t.Errorf("%v, %v", p50, p95)
	}
}

func TestLatency_is_that_of_the_first_byte(t *testing.T) {
	for name, o := range map[string]Options{
		"at once": {Upstreams: one("http://a")},
		"held":    {Upstreams: two(), Routes: toBoth(), Retry: retries},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, o)
			inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 3 {
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, "not counted")
					return
				}
				events(time.Duration(n)*time.Second, data(hello), time.Minute, data(hello))(n, w, r)
			})
			for range 3 {
				p.call(t, streaming())
			}
			if s := p.Status()[0]; s.FirstByteP50 != time.Second || s.FirstByteP95 != 2*time.Second {
				t.Errorf("%s: %v and %v", name, s.FirstByteP50, s.FirstByteP95)
			}
		})
	}
}
