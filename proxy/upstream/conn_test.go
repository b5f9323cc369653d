package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestConn_writes_bodies_of_every_size_whole(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || int64(len(b)) != r.ContentLength {
			t.Errorf("read %d bytes of %d: %v", len(b), r.ContentLength, err)
		}
		got = string(b)
	}))
	defer server.Close()
	pool, err := New(Options{Upstreams: []Upstream{{Name: "u", URL: server.URL}}})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, size := range []int{1, bufferSize - 200, bufferSize, bufferSize + 1, 40_000, 3 << 20} {
		body := strings.Repeat("0123456789", size/10+1)[:size]
		answer, err := pool.Do(context.Background(), &Request{Method: "POST", Target: "/x", Header: http.Header{}, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Finish(Completed)
		if got != body {
			t.Errorf("a body of %d bytes came as %d", size, len(got))
		}
	}
}

// BenchmarkConn_long_body shows what a body above the write buffer allocates.
func BenchmarkConn_long_body(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	body := strings.Repeat("x", 40_000)
	for _, own := range []bool{true, false} {
		b.Run(fmt.Sprintf("own=%v", own), func(b *testing.B) {
			pool, err := New(Options{Upstreams: []Upstream{{Name: "u", URL: server.URL}}})
			if err != nil {
				b.Fatal(err)
			}
			defer pool.Close()
			if !own {
				pool.upstreams[0].transport.(*http.Transport).DialContext = nil
			}
			b.ReportAllocs()
			for b.Loop() {
				answer, err := pool.Do(context.Background(), &Request{Method: "POST", Target: "/x", Header: http.Header{}, Body: body})
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, answer.Body)
				answer.Finish(Completed)
			}
		})
	}
}
