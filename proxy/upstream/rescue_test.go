package upstream

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestRescue_passes_a_stream_that_holds_byte_for_byte(t *testing.T) {
	for name, stream := range map[string]string{
		"chunks":          counting.stream(),
		"CRLF":            strings.ReplaceAll(counting.stream(), "\n", "\r\n"),
		"CR":              strings.ReplaceAll(counting.stream(), "\n", "\r"),
		"comments":        ": hi\n\n" + counting.stream() + ": bye\n",
		"no DONE":         strings.TrimSuffix(counting.stream(), data("[DONE]")),
		"no last line":    strings.TrimSuffix(counting.stream(), "\n\n"),
		"malformed":       data("{") + counting.stream(),
		"choices":         data(`{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"x"}}]}`),
		"of another kind": "event: x\ndata: y\n\ndata: z",
		"long":            data(`{"x":"`+strings.Repeat("y", maxEvent+1)+`"}`) + counting.stream(),
		"content filter":  data(role) + data(`{"error":{"code":"content_filter"}}`),
		"deeply nested":   data(`{"choices":`+strings.Repeat("[", 1<<20)) + data(strings.Repeat("[", 1<<20)+strings.Repeat("]", 1<<20)) + counting.stream(),
		"audio":           data(`{"choices":[{"delta":{"audio":{"id":"x"}}}]}`),
	} {
		up, other := newFake(t, events(stream)), newFake(t, status(500))
		p := rescuing(t, up.URL, other.URL)
		if _, body, answer := p.call(t, asking(question)); body != stream || answer.Attempts != 1 {
			t.Errorf("%s: %d attempts, %d bytes, want %d", name, answer.Attempts, len(body), len(stream))
		}
		if n := len(other.seen()); n != 0 {
			t.Errorf("%s: %d calls of another", name, n)
		}
	}
}

func TestRescue_goes_on_wherever_a_stream_is_cut(t *testing.T) {
	counting := counting
	counting.usage = 9
	other := counting
	other.name, other.usage = "other", 12
	stream := counting.stream()
	for _, prefill := range []string{"no", "yes", "echo"} {
		t.Run(prefill, func(t *testing.T) {
			cut := 0
			up := newFake(t, func(n int, w http.ResponseWriter, r *http.Request) { events(stream[:cut], errCut)(n, w, r) })
			var second *fake
			second = newFake(t, func(n int, w http.ResponseWriter, r *http.Request) {
				other.goingOn(&second, prefill == "echo")(n, w, r)
			})
			o := rescueOptions(up.URL, second.URL)
			o.Retry.Ratio = -1
			o.Breaker.Consecutive = 1 << 30
			o.Breaker.FailureRatio = 2
			o.Upstreams[1].Prefill = prefill != "no"
			p := newPool(t, o)
			first := strings.Index(stream, "\n\n") + 2
			finish := strings.Index(stream, `"stop"`)
			for cut = first; cut < len(stream); cut++ {
				if cut%7 != 0 && stream[cut-1] != '\n' && cut < finish {
					continue
				}
				_, body, answer := p.call(t, asking(question))
				got := readReply(t, body)
				trail := answer.Trail()
				rescued := trail[len(trail)-1].Resume
				if got.text != whole(counting) || got.finish != "stop" || rescued && gjson.Get(got.events[0], "id").Str != "id-first" {
					t.Fatalf("cut at %d: %q, %s", cut, got.text, got.finish)
				}
				if rescued && got.usage.Get("prompt_tokens").Int()+got.usage.Get("completion_tokens").Int() != got.usage.Get("total_tokens").Int() {
					t.Fatalf("cut at %d: usage %s", cut, got.usage)
				}
				if trail[0].Billed != (len(trail) > 1) {
					t.Fatalf("cut at %d: %+v", cut, trail)
				}
			}
		})
	}
}

func TestRescue_fails_as_without_it_where_nobody_goes_on(t *testing.T) {
	begin := strings.Join(counting.events("")[:3], "")
	diverging := script{name: "other", pieces: []string{"One ", "too ", "many"}}
	short := script{name: "other", pieces: []string{"One "}}
	for name, c := range map[string]struct {
		first, second func(int, http.ResponseWriter, *http.Request)
		body          string
		err           error
	}{
		"it differs":         {events(begin), diverging.whole, question, io.ErrUnexpectedEOF},
		"it is shorter":      {events(begin), short.whole, question, io.ErrUnexpectedEOF},
		"it is shorter, cut": {events(begin), events(strings.Join(short.events("")[:2], "")), question, io.ErrUnexpectedEOF},
		"it fails":           {events(begin), status(500), question, io.ErrUnexpectedEOF},
		"it refuses":         {events(begin), status(400), question, io.ErrUnexpectedEOF},
		"it is no stream":    {events(begin), status(200), question, io.ErrUnexpectedEOF},
		"it says an error":   {events(begin), events(data(`{"error":{"code":"context_length_exceeded"}}`)), question, io.ErrUnexpectedEOF},
		"two answers":        {events(begin), counting.whole, strings.Replace(question, `"stream"`, `"n":2,"stream"`, 1), io.ErrUnexpectedEOF},
		"an error event":     {events(begin, data(`{"error":{"message":"overloaded"}}`)), diverging.whole, question, nil},
	} {
		t.Run(name, func(t *testing.T) {
			up, other := newFake(t, c.first), newFake(t, c.second)
			p := rescuing(t, up.URL, other.URL)
			answer, err := p.Do(t.Context(), asking(c.body))
			if err != nil {
				t.Fatal(err)
			}
			want := begin
			if c.err == nil {
				want += data(`{"error":{"message":"overloaded"}}`)
			}
			body, err := io.ReadAll(answer.Body)
			if !errors.Is(err, c.err) || string(body) != want {
				t.Errorf("read %q, %v", body, err)
			}
			answer.Finish(Cut)
			for _, s := range p.Status() {
				if s.InFlight != 0 {
					t.Errorf("%s has %d in flight", s.Upstream, s.InFlight)
				}
			}
		})
	}
}

func TestRescue_loses_nothing_of_an_answer_that_is_too_long_to_follow(t *testing.T) {
	long := script{name: "other", pieces: []string{"One ", strings.Repeat("x", maxTold+1), "end"}}
	for _, missing := range []string{"", "\n", "\n\n"} {
		up, other := newFake(t, events(begun(2), errCut)), newFake(t, events(strings.TrimSuffix(long.stream(), missing)))
		if _, body, _ := rescuing(t, up.URL, other.URL).call(t, asking(question)); readReply(t, body).text != whole(long) {
			t.Errorf("without %q at its end it has %d bytes", missing, len(body))
		}
	}
}

func TestRescue_passes_the_last_failing_answer_on_as_it_came(t *testing.T) {
	failing := data(`{"error":{"message":"overloaded"}}`) + data("[DONE]")
	up, other := newFake(t, events(failing)), newFake(t, counting.whole)
	p := rescuing(t, up.URL, other.URL)
	p.upstreams[1].circuits.of("m").open(time.Hour)
	if _, body, answer := p.call(t, asking(question)); body != failing || answer.Attempts != 1 {
		t.Errorf("%q after %d attempts", body, answer.Attempts)
	}
}
