package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/tidwall/gjson"
)

// zero makes a request one whose answer may be kept.
const zero = `"temperature":0,`

// cachedFile is a configuration that keeps the answers of gpt-4o, but not of others.
func cachedFile(up string, cache, more string) string {
	return fmt.Sprintf(`%sledger: {interval: 50ms}
retry: {attempts: 0}
upstreams: [{name: up, url: %s}]
routes:
- {model: gpt-4o, to: [{upstream: up}], cache: {%s}}
`, patientStore, up, cache) + more
}

// An asking is a chat call of a client that cares about the cache.
type asking struct {
	session, text string
	more          string // members of the body
	cache         string // X-Cache
	key           string
	stream        bool
}

// asks makes the call, which is answered with 200.
func (m *mnemo) asks(t *testing.T, q asking) answer {
	t.Helper()
	a := m.tries(t, q)
	if a.status != http.StatusOK {
		t.Fatalf("%+v is answered with %d %s", q, a.status, a.body)
	}
	return a
}

// tries makes the call, whatever is answered.
func (m *mnemo) tries(t *testing.T, q asking) answer {
	t.Helper()
	header := http.Header{}
	if q.cache != "" {
		header.Set("X-Cache", q.cache)
	}
	caller := m
	if q.key != "" {
		caller = m.as(q.key)
	}
	a, err := caller.chat(t.Context(), q.session, fmt.Sprintf(`{"model":"gpt-4o",%s"stream":%t,"messages":[{"role":"user","content":%q}]}`, q.more, q.stream, q.text), header)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return a
}

// as is the process as it is called with another key.
func (m *mnemo) as(key string) *mnemo {
	other := *m
	other.http = &http.Client{Timeout: patience, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer "+key)
		return m.http.Transport.RoundTrip(r)
	})}
	return &other
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// kept asks until the cache answers: an answer gets there when its client has it.
func (m *mnemo) kept(t *testing.T, q asking) (hit answer) {
	t.Helper()
	settles(t, "the answer is kept", func() bool {
		hit = m.asks(t, q)
		return hit.header.Get("X-Cache") == "hit"
	})
	return hit
}

// wantCall looks at the account of a call that the cache answered.
func (m *mnemo) wantCall(t *testing.T, id string) {
	t.Helper()
	var status int
	var page string
	settles(t, "the call has an account", func() bool {
		status, page = m.api(t, "/api/calls/"+id)
		return status == http.StatusOK
	})
	call := gjson.Parse(page)
	if inner := call.Get("calls.0"); inner.Exists() {
		call = inner
	}
	if !call.Get("cached").Bool() || call.Get("cost_nano_usd").String() != "0" || call.Get("tokens.input").Int() != 0 || call.Get("attempts.#").Int() != 0 || call.Get("upstream").String() != "" {
		t.Errorf("its account is %s", page)
	}
}

// api reads a page of the management API as clientKey.
func (m *mnemo) api(t *testing.T, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+clientKey)
	response, err := m.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(response, false)
	if err != nil {
		t.Fatal(err)
	}
	return a.status, a.body
}
