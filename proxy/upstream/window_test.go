package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

// events streams pieces; a duration among them is a pause.
func events(pieces ...any) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.(http.Flusher).Flush()
		for _, piece := range pieces {
			switch piece := piece.(type) {
			case time.Duration:
				select {
				case <-time.After(piece):
				case <-r.Context().Done():
				}
			case error:
				panic(http.ErrAbortHandler)
			default:
				fmt.Fprint(w, piece)
				w.(http.Flusher).Flush()
			}
		}
	}
}

func data(event string) string { return "data: " + event + "\n\n" }

var errCut = errors.New("broken")

func streaming() *Request {
	r := chat("m")
	r.Body = `{"model":"m","stream":true,"messages":[]}`
	return r
}

func TestWindow_takes_a_stream_that_fails_early_elsewhere(t *testing.T) {
	good := data(role) + data(hello) + data("[DONE]")
	for name, first := range map[string]func(int, http.ResponseWriter, *http.Request){
		"an error event":        events(data(role), data(`{"error":{"message":"overloaded"}}`)),
		"an error event, CRLF":  events(": hi\r\n\r\nevent: error\r\ndata: {}\r\n\r\n"),
		"a cut":                 events(data(role), errCut),
		"an end":                events(data(role)),
		"nothing at all":        events(),
		"a limit":               events(data(`{"error":{"code":"rate_limit_exceeded"}}`)),
		"silence for very long": events(data(role), 12*time.Second, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			up, other := newFake(t, first), newFake(t, events(data(role), data(hello), data("[DONE]")))
			p := newPool(t, Options{Upstreams: []Upstream{
				{Name: "a", URL: up.URL, Timeouts: Timeouts{StreamIdle: 50 * time.Millisecond}}, {Name: "b", URL: other.URL},
			}, Routes: toBoth(), Retry: Retry{Attempts: 2, Base: time.Millisecond}})
			if code, body, answer := p.call(t, streaming()); code != 200 || body != good || answer.Upstream != "b" {
				t.Errorf("answer %d %q from %s", code, body, answer.Upstream)
			}
			if n := p.Status()[0].InFlight; n != 0 {
				t.Errorf("%d in flight", n)
			}
		})
	}
}

func TestWindow_passes_on_what_the_client_must_see(t *testing.T) {
	big := ": " + strings.Repeat("x", heldBytes) + "\n\n"
	for name, stream := range map[string]string{
		"content":          data(role) + data(hello) + data(`{"error":{}}`),
		"malformed":        data("{") + data(hello),
		"context length":   data(role) + data(`{"error":{"code":"context_length_exceeded"}}`),
		"content filter":   data(`{"error":{"code":"content_filter"}}`),
		"no blank at last": data(hello) + "data: x",
		"many events":      strings.Repeat(data(role), 3*heldEvents),
		"a long comment":   big + big + data(hello),
		"carriage returns": strings.ReplaceAll(data(role)+data(hello), "\n", "\r"),
	} {
		up, other := newFake(t, events(stream)), newFake(t, status(200))
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}, {Name: "b", URL: other.URL}}, Routes: toBoth(), Retry: retries})
		if _, body, answer := p.call(t, streaming()); body != stream || answer.Upstream != "a" || answer.Attempts != 1 {
			t.Errorf("%s: %d bytes from %s, want %d", name, len(body), answer.Upstream, len(stream))
		}
	}
}

func TestWindow_passes_the_failed_stream_on_if_nothing_better_comes(t *testing.T) {
	stream := data(role) + data(`{"error":{"message":"overloaded"}}`)
	up, other := newFake(t, events(stream)), newFake(t, status(200))
	other.Close()
	p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: up.URL}, {Name: "b", URL: other.URL}}, Routes: toBoth(), Retry: Retry{Attempts: 1}})
	if code, body, answer := p.call(t, streaming()); code != 200 || body != stream || answer.Attempts != 2 {
		t.Errorf("answer %d %q after %d attempts", code, body, answer.Attempts)
	}
}

func TestWindow_is_closed_where_there_is_nowhere_to_go(t *testing.T) {
	for name, o := range map[string]Options{
		"one candidate": {Upstreams: one("http://a"), Retry: retries},
		"no retries":    {Upstreams: two(), Routes: toBoth()},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, o)
			inMemory(t, p, events(data(role), 3*time.Second, data(hello)))
			start := time.Now()
			answer, err := p.Do(t.Context(), streaming())
			if err != nil || time.Since(start) > 0 {
				t.Fatalf("%s: the head came after %v, %v", name, time.Since(start), err)
			}
			buf := make([]byte, 4096)
			if n, _ := answer.Body.Read(buf); string(buf[:n]) != data(role) || time.Since(start) > 0 {
				t.Errorf("%s: %q after %v", name, buf[:n], time.Since(start))
			}
			answer.Finish(ClientGone)
		})
	}
}

func TestWindow_holds_no_longer_than_its_time_and_then_nothing(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		inMemory(t, p, events(data(role), time.Minute, data(hello), time.Minute, data(hello)), status(200))
		start := time.Now()
		answer, err := p.Do(t.Context(), streaming())
		if err != nil || time.Since(start) != heldTime {
			t.Fatalf("the head came after %v, %v", time.Since(start), err)
		}
		buf := make([]byte, 4096)
		for _, want := range []struct {
			event string
			after time.Duration
		}{{role, heldTime}, {hello, time.Minute}, {hello, 2 * time.Minute}} {
			if n, _ := answer.Body.Read(buf); string(buf[:n]) != data(want.event) || time.Since(start) != want.after {
				t.Errorf("%q after %v, want %v", buf[:n], time.Since(start), want.after)
			}
		}
		if n, err := answer.Body.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("%d bytes more, %v", n, err)
		}
		answer.Finish(Completed)
	})
}

func TestWindow_ends_when_nobody_wants_the_answer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		inMemory(t, p, events(data(role), time.Hour), status(200))
		answer, err := p.Do(t.Context(), streaming())
		if err != nil {
			t.Fatal(err)
		}
		answer.Finish(ClientGone)
		if n := p.Status()[0].InFlight; n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}
