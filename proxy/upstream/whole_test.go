package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mnemo/internal/bubble"
)

const completion = `{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}`

// answer is a body of a kind; one that breaks off is cut after half of it.
func answer(kind, body string, cut bool) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if cut {
			io.WriteString(w, body[:len(body)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, body)
	}
}

func TestWhole_asks_again_for_an_answer_that_is_none(t *testing.T) {
	for name, bad := range map[string]func(int, http.ResponseWriter, *http.Request){
		"cut":                   answer("application/json", completion, true),
		"cut, of unknown kind":  answer("", completion, true),
		"truncated":             answer("application/json; charset=utf-8", completion[:40], false),
		"HTML":                  answer("text/html", "<html>", false),
		"HTML, called JSON":     answer("application/json", "<html>", false),
		"nothing":               answer("application/json", "", false),
		"an error":              answer("application/json", `{"error":{"message":"overloaded"}}`, false),
		"an error in one word":  answer("application/json", `{"error":"overloaded"}`, false),
		"an error, and nothing": answer("application/json", `{"error":{"code":"server_error"},"id":""}`, false),
	} {
		for _, fails := range []int{1, 2} { // on the same upstream, then on the next
			t.Run(fmt.Sprint(name, fails), func(t *testing.T) {
				up := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
					if n <= fails {
						bad(n, w, r)
						return
					}
					answer("application/json", completion, false)(n, w, r)
				})
				other := newFake(t, answer("application/json", completion, false))
				p := newPool(t, Options{
					Upstreams: []Upstream{{Name: "a", URL: up.URL}, {Name: "b", URL: other.URL}}, Routes: toBoth(),
					Retry: Retry{Attempts: 2, Base: time.Millisecond}, Breaker: Breaker{Consecutive: 2}, HedgeAfter: time.Minute,
				})
				code, body, answer := p.call(t, chat("m"))
				if code != 200 || body != completion || answer.Attempts != fails+1 || answer.Upstream != []string{"", "a", "b"}[fails] {
					t.Errorf("answer %d %q from %s after %d attempts", code, body, answer.Upstream, answer.Attempts)
				}
				if first := answer.Trail()[0]; first.Outcome != OutcomeServerError || !first.Billed || answer.Trail()[fails].Billed {
					t.Errorf("trail %s", story(answer.Trail()))
				}
				if open := p.upstreams[0].circuits.of("m").isOpen(); open != (fails == 2) {
					t.Errorf("the breaker is open: %v", open)
				}
				if n := p.Status()[0].InFlight; n != 0 {
					t.Errorf("%d in flight", n)
				}
			})
		}
	}
}

func TestWhole_remembers_what_came_of_an_answer_that_was_given_up(t *testing.T) {
	const cut = `{"choices":[{"message":{"content":"half an ans`
	up := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n <= 2 {
			w.Header().Set("Content-Length", "1000")
			answer("application/json", cut, false)(n, w, r)
			return
		}
		answer("application/json", completion, false)(n, w, r)
	})
	p := newPool(t, Options{Upstreams: one(up.URL), Retry: Retry{Attempts: 2, Base: time.Millisecond}})
	_, _, got := p.call(t, chat("m"))
	for i, a := range got.Trail() {
		if given := i < 2; a.Billed != given || a.Answered == given || (a.Spoilt == cut) != given {
			t.Errorf("attempt %d: %+v", i, a)
		}
	}
}

func TestWhole_passes_on_what_the_client_must_see(t *testing.T) {
	big := `{"choices":["` + strings.Repeat("x", maxWhole) + `"]}`
	for name, c := range map[string]struct{ kind, body string }{
		"a completion":      {"application/json", completion},
		"a large one":       {"application/json", `{"choices":["` + strings.Repeat("x", 1<<20) + `"]}`},
		"a deep one":        {"application/json", `{"choices":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}"},
		"too long":          {"application/json", big},
		"too long, chunked": {"text/plain", big},
		"context length":    {"application/json", `{"error":{"code":"context_length_exceeded"}}`},
		"choices and error": {"application/json", `{"error":{"message":"odd"},"choices":[]}`},
		"no error":          {"application/json", `{"error":null}`},
		"another kind":      {"text/plain", "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				if c.kind == "application/json" {
					w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
				}
				io.WriteString(w, c.body)
			})
			p := newPool(t, Options{Upstreams: one(up.URL), Retry: retries})
			code, body, answer := p.call(t, chat("m"))
			if code != 200 || body != c.body || answer.Attempts != 1 || answer.StatusCode != 200 {
				t.Errorf("answer %d with %d bytes after %d attempts", code, len(body), answer.Attempts)
			}
		})
	}
}

func TestWhole_does_not_look_into_what_is_encoded(t *testing.T) {
	up := newFake(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "not JSON")
	})
	p := newPool(t, Options{Upstreams: one(up.URL), Retry: retries})
	if _, body, answer := p.call(t, chat("m")); body != "not JSON" || answer.Attempts != 1 {
		t.Errorf("%q after %d attempts", body, answer.Attempts)
	}
}

func TestWhole_passes_the_last_failure_on_as_it_came(t *testing.T) {
	cut := newFake(t, answer("application/json", completion, true))
	page := newFake(t, answer("text/html", "<html>", false))
	p := newPool(t, Options{Upstreams: one(page.URL), Retry: Retry{Attempts: 2, Base: time.Millisecond}})
	if code, body, answer := p.call(t, chat("m")); code != 200 || body != "<html>" || answer.Attempts != 3 {
		t.Errorf("answer %d %q after %d attempts", code, body, answer.Attempts)
	}
	p = newPool(t, Options{Upstreams: one(cut.URL), Retry: Retry{Attempts: 1, Base: time.Millisecond}})
	answer, err := p.Do(t.Context(), chat("m"))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != completion[:len(completion)/2] {
		t.Errorf("%q, then %v", body, err)
	}
	answer.Finish(Cut)
}

func TestWhole_holds_nothing_where_there_is_nowhere_to_go(t *testing.T) {
	slowly := func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, completion[:10])
		w.(http.Flusher).Flush()
		time.Sleep(time.Minute)
		io.WriteString(w, completion[10:])
	}
	for name, c := range map[string]struct {
		retry  Retry
		change func(*Request)
	}{
		"no retries":     {Retry{}, func(*Request) {}},
		"a stream":       {retries, func(r *Request) { r.Body = streaming().Body }},
		"another target": {retries, func(r *Request) { r.Target = "/embeddings" }},
		"a background":   {retries, func(r *Request) { r.Background = true }},
		"an upload":      {retries, func(r *Request) { r.Stream, r.Length = strings.NewReader(r.Body), int64(len(r.Body)) }},
	} {
		bubble.Test(t, func(t *testing.T) {
			p := newPool(t, Options{Upstreams: one("http://a"), Retry: c.retry})
			inMemory(t, p, slowly)
			start := time.Now()
			r := chat("m")
			c.change(r)
			answer, err := p.Do(t.Context(), r)
			if err != nil || time.Since(start) > 0 {
				t.Fatalf("%s: the head came after %v, %v", name, time.Since(start), err)
			}
			if body, err := io.ReadAll(answer.Body); err != nil || string(body) != completion {
				t.Errorf("%s: %q, %v", name, body, err)
			}
			answer.Finish(Completed)
		})
	}
}

func TestWhole_is_read_no_longer_than_the_limits_and_the_client_allow(t *testing.T) {
	stalls := func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, completion[:10])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: two(), Routes: toBoth(), Retry: retries})
		ups := inMemory(t, p, stalls, answer("application/json", completion, false))
		start := time.Now()
		if _, body, answer := p.call(t, chat("m")); body != completion || answer.Upstream != "b" || len(ups[0].seen()) != 1 {
			t.Errorf("%q from %s", body, answer.Upstream)
		}
		if time.Since(start) != DefaultStreamIdle {
			t.Errorf("it took %v", time.Since(start))
		}
	})
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a"), Retry: retries})
		inMemory(t, p, stalls)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := p.Do(ctx, chat("m")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("ended after %v with %v", time.Since(start), err)
		}
		if e := p.mustFail(t, chat("m")); e.Code != CodeTimeout || time.Since(start) != time.Second+DefaultStreamIdle {
			t.Errorf("ended after %v with %v", time.Since(start), e)
		}
	})
}

func TestWhole_cannot_be_nested_too_deep_to_be_checked(t *testing.T) {
	up := newFake(t, answer("application/json", strings.Repeat("[", maxWhole), false))
	p := newPool(t, Options{Upstreams: one(up.URL), Retry: Retry{Attempts: 1, Base: 1}})
	if _, body, answer := p.call(t, chat("m")); len(body) != maxWhole || answer.Attempts != 2 {
		t.Errorf("%d bytes after %d attempts", len(body), answer.Attempts)
	}
}
