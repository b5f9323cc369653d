package upstream

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPool_passes_a_call_on_and_its_answer_back(t *testing.T) {
	up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(299)
		io.WriteString(w, "hello")
	})
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL + "/v1/", Headers: map[string]string{"x-team": "red"}}}})
	r := chat("m")
	r.Header["Expect"] = []string{"100-continue"}
	r.Header["X-Twice"] = []string{"1", "2"}
	code, body, answer := p.call(t, r)
	if code != 299 || body != "hello" || len(answer.Header["Set-Cookie"]) != 2 {
		t.Errorf("answer = %d %q %v", code, body, answer.Header)
	}
	if answer.Upstream != "a" || answer.Key != "" || answer.Model != "m" || answer.Attempts != 1 {
		t.Errorf("labels = %+v", answer)
	}
	got := up.seen()[0]
	if got.uri != "/v1/chat/completions" || got.body != r.Body || got.host != strings.TrimPrefix(up.URL, "http://") {
		t.Errorf("upstream saw %+v", got)
	}
	for name, want := range map[string]int{"Authorization": 1, "X-Twice": 2, "X-Team": 1, "User-Agent": 0, "Expect": 0, "Accept-Encoding": 0, "Idempotency-Key": 0} {
		if n := len(got.header[name]); n != want {
			t.Errorf("header %s arrived %d times, want %d", name, n, want)
		}
	}
	if got.header.Get("Authorization") != "Bearer client" || got.header.Get("Content-Length") != "" && got.header.Get("Content-Length") != "27" {
		t.Errorf("headers = %v", got.header)
	}
}

func TestPool_passes_answers_as_they_are(t *testing.T) {
	up := newFake(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "after hints")
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "not unpacked")
		case "/unassigned":
			w.WriteHeader(475)
		case "/head":
			w.Header().Set("Content-Length", "7")
		}
	})
	p := newPool(t, Options{Upstreams: one(up.URL)})
	for target, want := range map[string]struct {
		code int
		body string
	}{
		"/redirect":   {307, ""},
		"/hints":      {200, "after hints"},
		"/nothing":    {204, ""},
		"/gzip":       {200, "not unpacked"},
		"/unassigned": {475, ""},
		"/head":       {200, ""},
	} {
		method := http.MethodPost
		if target == "/head" {
			method = http.MethodHead
		}
		code, body, answer := p.call(t, &Request{Method: method, Target: target})
		if code != want.code || body != want.body || answer.Uncompressed {
			t.Errorf("%s: answer %d %q", target, code, body)
		}
	}
	if n := len(up.seen()); n != 6 {
		t.Errorf("%d calls for 6", n)
	}
}

func TestPool_serves_many_callers_at_once(t *testing.T) {
	up := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		codes := []int{200, 500, 200, 429, 200, 401, 200}
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(codes[n%len(codes)])
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	p := newPool(t, Options{
		Upstreams: []Upstream{
			{Name: "a", URL: up.URL, Keys: []Key{{Label: "x", Value: "X", Weight: 1}, {Label: "y", Value: "Y", Weight: 2}}},
			{Name: "b", URL: up.URL, Keys: []Key{{Label: "z", Value: "Z", Weight: 1}}},
		},
		Routes: toBoth(), Retry: Retry{Attempts: 2, Base: time.Millisecond, Max: 2 * time.Millisecond},
	})
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			for n := range 30 {
				ctx, cancel := context.WithCancel(t.Context())
				if (caller+n)%5 == 0 {
					time.AfterFunc(time.Duration(n)*100*time.Microsecond, cancel)
				}
				if answer, err := p.Do(ctx, chat("m")); err == nil {
					io.Copy(io.Discard, answer.Body)
					answer.Finish(Outcome(n % 3))
				}
				p.Status()
				p.Usable()
				cancel()
			}
		})
	}
	callers.Wait()
	for _, s := range p.Status() {
		if s.InFlight != 0 {
			t.Errorf("%s has %d in flight", s.Upstream, s.InFlight)
		}
	}
}

func TestPool_refuses_what_cannot_be_passed_on(t *testing.T) {
	up := newFake(t, status(200))
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}}, Breaker: Breaker{Consecutive: 1}})
	for name, change := range map[string]func(*Request){
		"another host":        func(r *Request) { r.Target = "@evil.example/" },
		"a space":             func(r *Request) { r.Target = "/a b" },
		"a line break":        func(r *Request) { r.Target = "/a\r\nX: y" },
		"a tunnel":            func(r *Request) { r.Method = http.MethodConnect },
		"no method":           func(r *Request) { r.Method = "" },
		"a header with a NUL": func(r *Request) { r.Header["X"] = []string{"a\x00b"} },
	} {
		r := chat("m")
		change(r)
		if e := p.mustFail(t, r); e.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", name, e.Status)
		}
	}
	if n := len(up.seen()); n != 0 {
		t.Errorf("the upstream was called %d times", n)
	}
	if code, _, _ := p.call(t, chat("m")); code != 200 {
		t.Errorf("a bad request opened the breaker")
	}
}

func TestPool_sends_the_body_of_a_call_with_its_exact_length(t *testing.T) {
	lengths := make(chan int64, 1)
	up := newFake(t, func(_ int, _ http.ResponseWriter, r *http.Request) { lengths <- r.ContentLength })
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}}})
	for name, test := range map[string]struct {
		request Request
		want    int64
	}{
		"body":                     {Request{Body: "12345"}, 5},
		"no body":                  {Request{}, 0},
		"stream":                   {Request{Stream: strings.NewReader("123"), Length: 3}, 3},
		"stream of unknown length": {Request{Stream: strings.NewReader("123"), Length: -1}, -1},
		"empty stream":             {Request{Stream: strings.NewReader(""), Length: 0}, 0},
	} {
		test.request.Method, test.request.Target = http.MethodPost, "/files"
		p.call(t, &test.request)
		if got := <-lengths; got != test.want {
			t.Errorf("%s: Content-Length %d, want %d", name, got, test.want)
		}
	}
}
