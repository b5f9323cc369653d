package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mnemo/proxy/upstream"
)

func TestPassThrough_keeps_the_raw_target(t *testing.T) {
	r := newRig(t)
	for _, target := range []string{
		"/models", "/models?", "/models?a=b&a=c;d", "/a%2Fb", "/a%20b", "/a+b", "/a//b", "/a/./b/../c", "/a/", "/", "/%ff", "/a;b=c", "/files/x?y=%2F+%20",
	} {
		got := r.raw("GET /v1" + target + " HTTP/1.1\r\nHost: mnemo.test\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%s: answer %q", target, got)
			continue
		}
		if sent := r.up.last().uri; sent != "/v1"+target {
			t.Errorf("upstream got %q, want %q", sent, "/v1"+target)
		}
	}
}

func TestPassThrough_sends_any_body_byte_for_byte(t *testing.T) {
	r := newRig(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(`{"model":"x"}`))
	z.Close()
	bodies := map[string]string{
		"empty":           "",
		"no JSON":         "hello",
		"invalid UTF-8":   "\xff\xfe\x00",
		"duplicate keys":  `{"model":"a","model":"b","messages":[],"messages":[{"role":"user","content":"x"}]}`,
		"numbers":         `{"model":"x","n":12345678901234567890,"t":0.70,"e":1E+2,"z":null, "messages":[]}`,
		"gzip":            zipped.String(),
		"big":             strings.Repeat("0123456789abcdef", 20<<16),
		"over the limit":  strings.Repeat("x", DefaultBodyLimit+1),
		"one of the edge": strings.Repeat("y", replayLimit),
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/audio/transcriptions"} {
		for name, body := range bodies {
			for _, chunked := range []bool{false, true} {
				var reader io.Reader = strings.NewReader(body)
				if chunked {
					reader = io.MultiReader(reader) // hides the length
				}
				req, err := http.NewRequest("POST", r.url+path, reader)
				if err != nil {
					t.Fatal(err)
				}
				got := r.send(req, "Content-Type: application/octet-stream")
				if got.status != 200 || got.err != nil {
					t.Fatalf("%s %s: %d %v %s", path, name, got.status, got.err, got.body)
				}
				if sent := r.up.last().body; sent != body {
					t.Errorf("%s %s chunked=%v: upstream got %d bytes, want %d", path, name, chunked, len(sent), len(body))
				}
			}
		}
	}
}

func TestPassThrough_carries_end_to_end_headers_both_ways(t *testing.T) {
	r := newRig(t)
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		h := w.Header()
		h["Set-Cookie"] = []string{"a=1; Path=/", "b=2", "a=3; Secure"}
		h.Set("X-Ratelimit-Remaining", "17")
		h.Set("Retry-After", "3")
		h.Set("X-Request-Id", "req_up")
		h.Set("Content-Type", "application/vnd.odd+json; charset=x")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h.Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(299)
		io.WriteString(w, "body")
	})
	long := strings.Repeat("v", 16_000)
	got := r.do("PATCH", "/v1/things", "{}", "X-Twice: one", "X-Twice: two", "X-Long: "+long, "Cookie: z=1; a=\"q\"; z=2",
		"Connection: X-Drop", "X-Drop: 1", "Te: trailers", "X-Session-Id: s", "X-Memory-Mode: off", "X-Memory-Budget: 5", "User-Agent: odd/1.0", "Accept-Encoding: br, x")
	if got.status != 299 || got.body != "body" {
		t.Fatalf("answer = %d %q", got.status, got.body)
	}
	if c := got.header["Set-Cookie"]; fmt.Sprint(c) != "[a=1; Path=/ b=2 a=3; Secure]" {
		t.Errorf("Set-Cookie = %q", c)
	}
	for name, want := range map[string]string{"X-Ratelimit-Remaining": "17", "Retry-After": "3", "X-Request-Id": "req_up", "Content-Type": "application/vnd.odd+json; charset=x", "X-Hop": "", "Proxy-Authenticate": "", "X-Upstream": "fake", "X-Upstream-Attempts": "1"} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	sent := r.up.last()
	if sent.method != "PATCH" || "http://"+sent.host != r.up.URL {
		t.Errorf("upstream got %s for host %q", sent.method, sent.host)
	}
	if fmt.Sprint(sent.header["X-Twice"]) != "[one two]" || sent.header.Get("X-Long") != long || sent.header.Get("Cookie") != `z=1; a="q"; z=2` {
		t.Errorf("repeated, long or cookie fields changed: %q %q", sent.header["X-Twice"], sent.header.Get("Cookie"))
	}
	for name, want := range map[string]string{"X-Drop": "", "Te": "", "X-Session-Id": "", "X-Memory-Mode": "", "X-Memory-Budget": "", "User-Agent": "odd/1.0", "Accept-Encoding": "br, x", "Authorization": "Bearer sk-client"} {
		if v := sent.header.Get(name); v != want {
			t.Errorf("upstream got %s: %q, want %q", name, v, want)
		}
	}
}

func TestPassThrough_invents_no_headers(t *testing.T) {
	r := newRig(t)
	r.raw("POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	sent := r.up.last()
	delete(sent.header, "Content-Length")
	if len(sent.header) != 0 {
		t.Errorf("upstream got %v", sent.header)
	}
}

func TestPassThrough_follows_no_redirects_and_keeps_bodiless_answers(t *testing.T) {
	r := newRig(t)
	for _, code := range []int{301, 302, 307, 204, 304, 418, 503 - 2, 404} {
		r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Location", "http://elsewhere.test/")
			w.WriteHeader(code)
		})
		got := r.do("DELETE", "/v1/x", "")
		if got.status != code || got.header.Get("Location") != "http://elsewhere.test/" || got.body != "" {
			t.Errorf("%d came as %d %q %q", code, got.status, got.header.Get("Location"), got.body)
		}
	}
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) { w.Header().Set("Content-Length", "5000") })
	got := r.do("HEAD", "/v1/x", "")
	if got.status != 200 || got.header.Get("Content-Length") != "5000" || got.body != "" {
		t.Errorf("HEAD = %d %v %q", got.status, got.header, got.body)
	}
}

func TestPassThrough_an_answer_that_is_cut_is_visibly_cut(t *testing.T) {
	big := strings.Repeat("z", 100_000)
	for name, c := range map[string]struct {
		answer     string
		beforeHead bool
	}{
		"length":     {"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + big, false},
		"chunked":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false},
		"small":      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", true},
		"no head":    {"HTTP/1.1 200 OK\r\nConte", true},
		"not a head": {"garbage\r\n\r\n", true},
	} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reset=%v", name, reset), func(t *testing.T) {
				r := newRig(t)
				r.up.raw(c.answer, reset)
				got := r.do("GET", "/v1/files/1", "")
				if c.beforeHead {
					if got.status != 502 || !strings.Contains(got.body, `"error"`) {
						t.Errorf("answer = %d %q, want 502", got.status, got.body)
					}
					return
				}
				if got.status == 200 && got.err == nil {
					t.Errorf("a cut answer looks whole: %d bytes", len(got.body))
				}
			})
		}
	}
}

func TestPassThrough_a_cut_chat_stream_ends_with_an_error_event(t *testing.T) {
	for name, sent := range map[string]string{
		"between events": chunk(`{"content":"a"}`, "null"),
		"in an event":    chunk(`{"content":"a"}`, "null") + `data: {"choi`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.up.raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(sent), sent), false)
			got := r.do("POST", "/v1/chat/completions", user("hi", `"stream":true`))
			rest, found := strings.CutPrefix(got.body, sent)
			if !found || got.err == nil {
				t.Fatalf("body = %q, %v", got.body, got.err)
			}
			rest = strings.TrimPrefix(rest, "\n\n")
			if !strings.HasPrefix(rest, `data: {"error":{"message":`) || !strings.HasSuffix(rest, "\n\n") || strings.Contains(rest, "[DONE]") {
				t.Errorf("the end is %q", rest)
			}
		})
	}
}

func TestPassThrough_streams_events_as_they_come(t *testing.T) {
	r := newRig(t)
	next := make(chan string)
	r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for part := range next {
			io.WriteString(w, part)
			w.(http.Flusher).Flush()
		}
	})
	req, _ := http.NewRequest("POST", r.url+"/v1/chat/completions", strings.NewReader(user("hi", `"stream":true`)))
	resp, err := r.client.Do(req) // the head comes before the first event
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, part := range []string{": ping\n\n", "data: \xe4", "\xb8\x96\r\n\r\n", "event: x\rdata: y\r\r", "data: " + strings.Repeat("m", 1<<20) + "\n\n", "data: no end"} {
		next <- part
		got := make([]byte, len(part))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != part {
			t.Fatalf("got %.40q, %v; want %.40q", got, err, part)
		}
	}
	close(next)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("the end is %q, %v", rest, err)
	}
}

func TestPassThrough_a_client_that_leaves_ends_the_upstream_call(t *testing.T) {
	stream := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, chunk(`{"content":"a"}`, "null"))
	}
	for name, c := range map[string]struct {
		head   func(http.ResponseWriter)
		path   string
		body   string
		header string
	}{
		"waiting":                  {nil, "/v1/things", "{}", ""},
		"chat waiting":             {nil, "/v1/chat/completions", user("hi"), ""},
		"chat mid-stream":          {stream, "/v1/chat/completions", user("hi", `"stream":true`), ""},
		"session waiting":          {nil, "/v1/chat/completions", user("hi"), "X-Session-ID: s\r\n"},
		"session waiting streamed": {nil, "/v1/chat/completions", user("hi", `"stream":true`), "X-Session-ID: s\r\n"},
		"session mid-stream":       {stream, "/v1/chat/completions", user("hi", `"stream":true`), "X-Session-ID: s\r\n"},
	} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reset=%v", name, reset), func(t *testing.T) {
				r := newRig(t)
				r.up.hang(c.head)
				conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-client\r\n%sContent-Length: %d\r\n\r\n%s", c.path, c.header, len(c.body), c.body)
				eventually(t, "the upstream is called", func() bool { return len(r.up.requests()) == 1 })
				if c.head != nil {
					if _, err := conn.Read(make([]byte, 10)); err != nil {
						t.Fatal(err)
					}
				}
				if reset {
					conn.(*net.TCPConn).SetLinger(0)
				}
				left := time.Now()
				conn.Close()
				select {
				case <-r.up.gone:
					if took := time.Since(left); took > time.Second {
						t.Errorf("the upstream call ended after %v", took)
					}
				case <-time.After(5 * time.Second):
					t.Error("the upstream call goes on")
				}
				if line := r.accessLine(1); !strings.Contains(line, `"status":499`) {
					t.Errorf("access line = %s", line)
				}
			})
		}
	}
}

func TestPassThrough_half_an_upload_never_goes_up_as_if_whole(t *testing.T) {
	for name, request := range map[string]string{
		"small":            "POST /v1/files HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf",
		"streamed":         "POST /v1/files HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("x", 1_500_000),
		"chunked":          "POST /v1/files HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"chunked in chunk": "POST /v1/files HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
		"chat chunked":     "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"session chunked":  "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\nX-Session-ID: s\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, request)
			conn.(*net.TCPConn).CloseWrite()
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer, _ := io.ReadAll(conn)
			conn.Close()
			if seen := r.up.requests(); len(seen) != 0 {
				t.Errorf("upstream took %d bytes for a whole body; the client got %q", len(seen[0].body), answer)
			}
		})
	}
}

func TestPassThrough_an_answer_before_the_upload_ends_reaches_the_client(t *testing.T) {
	r := newRig(t)
	r.up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(413)
		io.WriteString(w, "too big")
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, "POST /v1/files HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\nbeginning")
	b, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(b), "HTTP/1.1 413 ") || !strings.Contains(string(b), "too big") || !strings.Contains(string(b), "Connection: close") {
		t.Errorf("answer = %q", b)
	}
}

func TestPassThrough_serves_HTTP_1_0_and_expect_100(t *testing.T) {
	r := newRig(t)
	if got := r.raw("GET /v1/models HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, completion("fine")) {
		t.Errorf("HTTP/1.0 = %q", got)
	}
	r.up.stream("data: a\n\n", "data: b\n\n")
	if got := r.raw("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}"); strings.Contains(got, "chunked") || !strings.HasSuffix(got, "\r\n\r\ndata: a\n\ndata: b\n\n") {
		t.Errorf("HTTP/1.0 stream = %q", got)
	}
	got := r.raw("POST /v1/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	if !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ") || r.up.last().body != "hi" {
		t.Errorf("Expect = %q", got)
	}
}

func TestPassThrough_keeps_connections_alive_through_errors_and_streams(t *testing.T) {
	r := newRig(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	for i, c := range []struct {
		request string
		status  int
		script  func()
	}{
		{"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n", 200, func() {}},
		{"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX-Session-ID: a b\r\nContent-Length: 2\r\n\r\n{}", 400, func() {}},
		{"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", 404, func() {}},
		{"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", 200, func() { r.up.stream("data: x\n\n", doneEvent) }},
		{"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n", 500, func() {
			r.up.handle(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(500) })
		}},
		{"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 200, func() {}},
	} {
		c.script()
		io.WriteString(conn, c.request)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != c.status || resp.Close {
			t.Errorf("request %d: %d close=%v, want %d", i, resp.StatusCode, resp.Close, c.status)
		}
	}
}

func TestPassThrough_has_no_limit_below_70_seconds(t *testing.T) {
	if headerTimeout+uploadTimeout < 70*time.Second || upstream.DefaultHeaders < 70*time.Second || upstream.DefaultStreamIdle < 70*time.Second {
		t.Error("a default time limit is below 70 s")
	}
}

func TestPassThrough_refuses_more_than_in_flight_allows(t *testing.T) {
	r := newRig(t, func(o *rigOptions) { o.proxy.Limits.InFlight = 1 })
	release := make(chan struct{})
	r.up.handle(func(http.ResponseWriter, *http.Request, string) { <-release })
	first := make(chan exchanged)
	go func() { first <- r.do("GET", "/v1/models", "") }()
	eventually(t, "the first call is under way", func() bool { return len(r.up.requests()) == 1 })
	got := r.do("GET", "/v1/models", "")
	if got.status != 503 || got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, "limits.in_flight") {
		t.Errorf("second = %d %s", got.status, got.body)
	}
	close(release)
	if got := <-first; got.status != 200 {
		t.Errorf("first = %d %s", got.status, got.body)
	}
	if got := r.do("GET", "/v1/models", ""); got.status != 200 {
		t.Errorf("third = %d %s", got.status, got.body)
	}
}

func TestPassThrough_a_header_over_the_limit_is_named(t *testing.T) {
	r := newRig(t)
	got := r.raw("GET /v1/models HTTP/1.1\r\nHost: h\r\nX-Big: " + strings.Repeat("x", DefaultHeaderLimit) + "\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") || !strings.Contains(got, "limits.header") {
		t.Errorf("answer = %.300q", got)
	}
}
