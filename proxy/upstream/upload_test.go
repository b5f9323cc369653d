package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"mnemo/internal/bubble"
)

func TestUpload_that_breaks_off_never_goes_up_as_if_it_were_whole(t *testing.T) {
	for name, r := range map[string]*Request{
		"reading fails":                    {Stream: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("client reset"))), Length: -1},
		"reading fails with a wrapped EOF": {Stream: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(fmt.Errorf("read chunk: %w", io.EOF))), Length: -1},
		"it is too short":                  {Stream: strings.NewReader("half"), Length: 8},
		"it ends unexpected":               {Stream: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)), Length: -1},
	} {
		t.Run(name, func(t *testing.T) {
			var whole atomic.Bool
			up := newFake(t, status(200))
			up.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil && r.URL.Path == "/files" {
					whole.Store(true)
				}
			})
			p := newPool(t, Options{Upstreams: one(up.URL), Retry: retries, Breaker: Breaker{Consecutive: 1}})
			r.Method, r.Target = "POST", "/files"
			if e := p.mustFail(t, r); e.Status != 400 || e.Attempts != 1 {
				t.Errorf("error = %+v", e)
			}
			if code, _, _ := p.call(t, chat("")); code != 200 {
				t.Errorf("a broken upload opened the breaker")
			}
			up.Close()
			if whole.Load() {
				t.Error("half an upload arrived as whole")
			}
		})
	}
}

func TestUpload_is_not_read_after_its_call(t *testing.T) {
	up := newFake(t, status(200))
	up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	p := newPool(t, Options{Upstreams: one(up.URL)})
	stream := &endless{}
	answer, err := p.Do(t.Context(), &Request{Method: "POST", Target: "/files", Stream: stream, Length: -1})
	if err == nil {
		if answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("answer %d", answer.StatusCode)
		}
		answer.Finish(Completed)
	}
	stream.n = 0 // the race detector sees a transport that still reads
}

type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) { e.n += len(p); return len(p), nil }

func TestUpload_may_take_longer_than_the_answer_is_waited_for(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: []Upstream{{Name: "a", URL: "http://a", Timeouts: Timeouts{Headers: time.Second, StreamIdle: time.Second}}}})
		up := inMemory(t, p, func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 2 {
				hang(n, w, r)
			}
		})[0]
		slow := func() io.Reader { return iotest.OneByteReader(&slowly{text: "0123456789"}) }
		if code, _, _ := p.call(t, &Request{Method: "POST", Target: "/files", Stream: slow(), Length: 10}); code != 200 || up.seen()[0].body != "0123456789" {
			t.Errorf("answer %d to %q", code, up.seen()[0].body)
		}
		start := time.Now()
		e := p.mustFail(t, &Request{Method: "POST", Target: "/files", Stream: slow(), Length: -1})
		if e.Status != 504 || time.Since(start) < 11*time.Second || time.Since(start) > 13*time.Second {
			t.Errorf("error %v after %v", e, time.Since(start))
		}
	})
}

// slowly takes a second for each byte.
type slowly struct{ text string }

func (s *slowly) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	n := copy(p[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

func TestUpload_ends_with_the_client(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Upstreams: one("http://a")})
		ended := make(chan struct{})
		inMemory(t, p, func(int, http.ResponseWriter, *http.Request) { close(ended) })
		ctx, cancel := context.WithCancel(t.Context())
		body, client := io.Pipe()
		go func() {
			io.WriteString(client, "begin")
			cancel()
			client.CloseWithError(errors.New("the client reset the connection"))
		}()
		_, err := p.Do(ctx, &Request{Method: "POST", Target: "/files", Stream: body, Length: -1})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
		<-ended
	})
}
