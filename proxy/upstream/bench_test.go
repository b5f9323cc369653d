package upstream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var answerBody = strings.Repeat("x", 600)

// BenchmarkCall compares a call with a bare RoundTrip over the same loopback.
func BenchmarkCall(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, answerBody)
	}))
	defer server.Close()
	p, err := New(Options{
		Upstreams: []Upstream{{Name: "a", URL: server.URL + "/v1", Keys: []Key{{Label: "k", Value: "v", Weight: 1}}}},
		Routes:    []Route{{Model: "gpt-*", To: []Candidate{{Upstream: "a"}}}},
		Retry:     Retry{Attempts: 2},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	body := `{"model":"gpt-x","messages":["` + strings.Repeat("y", 1000) + `"]}`
	header := func() http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer c"}, "User-Agent": {"b"}, "X-A": {"1"}, "X-B": {"2"}}
	}
	buf := make([]byte, 4096)
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/v1/chat/completions", strings.NewReader(body))
			req.Header = header()
			resp, err := p.upstreams[0].transport.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			drain(resp.Body, buf)
			resp.Body.Close()
		}
	})
	b.Run("pool", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a, err := p.Do(b.Context(), &Request{Method: http.MethodPost, Target: chatTarget, Header: header(), Body: body, Model: "gpt-x"})
			if err != nil {
				b.Fatal(err)
			}
			drain(a.Body, buf)
			a.Finish(Completed)
		}
	})
}

// BenchmarkPipeline is what the pool adds: the transport answers at once.
func BenchmarkPipeline(b *testing.B) {
	p, err := New(Options{Upstreams: []Upstream{{Name: "a", URL: "http://a/v1", Keys: []Key{{Label: "k", Value: "v", Weight: 1}}}}})
	if err != nil {
		b.Fatal(err)
	}
	p.upstreams[0].transport = instant{}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"b"}}
	request := &Request{Method: http.MethodPost, Target: chatTarget, Header: header, Body: "{}", Model: "m"}
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		a, err := p.Do(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		drain(a.Body, buf)
		a.Finish(Completed)
	}
}

type instant struct{}

func (instant) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func drain(r io.Reader, buf []byte) {
	for {
		if _, err := r.Read(buf); err != nil {
			return
		}
	}
}
