package upstream

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
"time"
)

func cpu() int64 {
	var u syscall.Rusage
	syscall.Getrusage(0, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func TestPair(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); io.WriteString(w, answerBody) }))
	defer server.Close()
	p, _ := New(Options{Upstreams: []Upstream{{Name: "a", URL: server.URL + "/v1", Keys: []Key{{Label: "k", Value: "v", Weight: 1}}}}, Retry: Retry{Attempts: 2}})
	defer p.Close()
	body := `{"model":"gpt-x","messages":["` + strings.Repeat("y", 1000) + `"]}`
	header := func() http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer c"}, "User-Agent": {"b"}, "X-A": {"1"}, "X-B": {"2"}}
	}
	buf := make([]byte, 4096)
	bare := func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/chat/completions", strings.NewReader(body))
		req.Header = header()
		resp, err := p.upstreams[0].transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		drain(resp.Body, buf)
		resp.Body.Close()
	}
	pool := func() {
		a, err := p.Do(t.Context(), &Request{Method: "POST", Target: chatTarget, Header: header(), Body: body, Model: "gpt-x"})
		if err != nil {
			t.Fatal(err)
		}
		drain(a.Body, buf)
		a.Finish(Completed)
	}
	go func() { tk := time.NewTicker(50*time.Millisecond); for range tk.C {} }()
	var ratios []float64
	var sb, sp int64
	for range 60 {
		s := cpu()
		for range 1500 {
			bare()
		}
		m := cpu()
		for range 1500 {
			pool()
		}
		e := cpu()
		sb += m - s
		sp += e - m
		ratios = append(ratios, float64(cpu()-m)/float64(m-s))
	}
	slices.Sort(ratios)
	fmt.Println("sum", float64(sp)/float64(sb), sb/90000, sp/90000)
	fmt.Println("median cpu ratio", ratios[30], "quartiles", ratios[15], ratios[45])
}
