package upstream

import (
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

func TestUpstream_is_believed_only_with_an_authority(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := func() *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AddCert(server.Certificate())
		return pool
	}
	o := Options{Upstreams: []Upstream{{Name: "a", URL: server.URL, RootCAs: roots()}}}
	p := newPool(t, o)
	if code, _, _ := p.call(t, chat("m")); code != 200 {
		t.Errorf("answer %d", code)
	}
	o.Upstreams[0].RootCAs = roots()
	if next := p.mustReload(t, o); next.upstreams[0] != p.upstreams[0] {
		t.Error("the same authorities, read again, are taken for others")
	}
	o.Upstreams[0].RootCAs = x509.NewCertPool()
	if e := p.mustReload(t, o).mustFail(t, chat("m")); e.Code != CodeUnreachable {
		t.Errorf("error %v", e)
	}
}

func TestUpstream_is_called_through_the_proxy_that_is_told(t *testing.T) {
	asked := ""
	through := func(proxy string) func(*http.Request) (*url.URL, error) {
		return func(r *http.Request) (*url.URL, error) {
			asked = r.URL.String()
			return url.Parse(proxy)
		}
	}
	proxy := newFake(t, status(200))
	o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://api.example/v1", Proxy: through(proxy.URL)}}}
	p := newPool(t, o)
	p.call(t, chat("m"))
	if got := proxy.seen(); len(got) != 1 || got[0].uri != "http://api.example/v1/chat/completions" || asked != "http://api.example/v1" {
		t.Errorf("the proxy saw %+v, it was asked for %s", got, asked)
	}
	o.Upstreams[0].Proxy = through(proxy.URL) // another function, the same proxy
	if next := p.mustReload(t, o); next.upstreams[0] != p.upstreams[0] {
		t.Error("the same proxy is taken for another")
	}
	o.Upstreams[0].Proxy = through("http://other")
	if next := p.mustReload(t, o); next.upstreams[0] == p.upstreams[0] {
		t.Error("another proxy is overlooked")
	}
	o.Upstreams[0].Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("user:s3cret") }
	if _, err := New(o); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}

func TestUpstream_is_repeated_as_its_own_settings_say(t *testing.T) {
	for name, c := range map[string]struct {
		a, b *Retry
		want string
	}{
		"the pool's":           {nil, nil, "aab"},
		"none here":            {&Retry{}, nil, "abb"},
		"none anywhere":        {&Retry{}, &Retry{}, "a"},
		"more of the second":   {&Retry{}, &Retry{Attempts: 4}, "abbbb"},
		"more of the first":    {&Retry{Attempts: 4}, nil, "aabba"},
		"only a few of either": {&Retry{Attempts: 1}, &Retry{Attempts: 3}, "aabb"},
	} {
		bubble.Test(t, func(t *testing.T) {
			ups, tried := two(), ""
			ups[0].Retry, ups[1].Retry = c.a, c.b
			p := newPool(t, Options{Upstreams: ups, Routes: toBoth(), Retry: retries, OnAttempt: func(a Attempt) { tried += a.Upstream }})
			inMemory(t, p, status(500), status(500))
			if code, _, _ := p.call(t, chat("m")); code != 500 || tried != c.want {
				t.Errorf("%s: answer %d after %s, want %s", name, code, tried, c.want)
			}
		})
	}
}

func TestUpstream_is_waited_for_as_its_own_settings_say(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := one("http://a")
		ups[0].Retry = &Retry{Attempts: 1, Base: time.Nanosecond, Max: time.Minute}
		p := newPool(t, Options{Upstreams: ups})
		inMemory(t, p, once(503, "Retry-After", "50"))
		start := time.Now()
		if code, _, _ := p.call(t, chat("m")); code != 200 || time.Since(start) != 50*time.Second {
			t.Errorf("answer %d after %v", code, time.Since(start))
		}
	})
}

func TestUpstream_that_refuses_to_be_repeated_is_left_at_once_and_for_good(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := two()
		ups[0].Retry = &Retry{}
		p := newPool(t, Options{Upstreams: ups, Routes: toBoth(), Retry: Retry{Attempts: 4}})
		a := inMemory(t, p, hang, status(503))[0]
		start := time.Now()
		code, _, answer := p.call(t, chat("m"))
		if code != 503 || answer.Attempts != 5 || len(a.seen()) != 1 {
			t.Errorf("answer %d after %d attempts", code, answer.Attempts)
		}
		if time.Since(start) == DefaultHeaders { // the pauses are random, but not all of none
			t.Error("nobody paused between the attempts of the second")
		}
	})
}

func TestUpstream_has_breakers_as_its_own_settings_say(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ups := two()
		ups[0].Breaker, ups[0].OpenMax = &Breaker{Consecutive: 2, Open: time.Minute}, time.Hour
		p := newPool(t, Options{Upstreams: ups, Routes: toBoth(), Breaker: Breaker{Consecutive: 3}})
		a, b := p.upstreams[0].circuits, p.upstreams[1].circuits
		if a.options != (Breaker{DefaultWindow, DefaultMinCalls, DefaultFailureRatio, 2, time.Minute}) || a.longest != time.Hour {
			t.Errorf("of its own: %+v, %v", a.options, a.longest)
		}
		if b.options.Consecutive != 3 || b.options.Open != DefaultOpen || b.longest != DefaultOpenMax {
			t.Errorf("the pool's: %+v, %v", b.options, b.longest)
		}
		inMemory(t, p, status(500), status(200))
		for range 2 {
			p.call(t, chat("m"))
		}
		if _, _, answer := p.call(t, chat("m")); answer.Upstream != "b" {
			t.Errorf("answer of %s", answer.Upstream)
		}
	})
}

func TestUpstream_keeps_its_settings_whatever_the_caller_does_to_them(t *testing.T) {
	retry, breaker := &Retry{Attempts: 1}, &Breaker{Consecutive: 1}
	o := Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Retry: retry, Breaker: breaker}}}
	p := newPool(t, o)
	if next := p.mustReload(t, o); next.upstreams[0] != p.upstreams[0] {
		t.Error("the same settings are taken for others")
	}
	retry.Attempts = 5
	if next := p.mustReload(t, o); next.upstreams[0] == p.upstreams[0] || p.upstreams[0].retry.Attempts != 1 {
		t.Error("a change is overlooked")
	}
}
