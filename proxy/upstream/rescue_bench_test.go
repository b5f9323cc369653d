package upstream

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRescue reads a long stream, whose source takes no time, with the option
// off and on.
func BenchmarkRescue(b *testing.B) {
	long := script{name: "long", usage: 3000}
	for range 3000 {
		long.pieces = append(long.pieces, "token ")
	}
	stream := long.stream()
	for _, resume := range []bool{false, true} {
		name := map[bool]string{false: "off", true: "on"}[resume]
		b.Run(name, func(b *testing.B) {
			o := rescueOptions("http://a", "http://b")
			o.Resume = resume
			p, err := New(o)
			if err != nil {
				b.Fatal(err)
			}
			p.upstreams[0].transport = streamed(stream)
			buf := make([]byte, 32<<10)
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				a, err := p.Do(b.Context(), asking(question))
				if err != nil {
					b.Fatal(err)
				}
				drain(a.Body, buf)
				a.Finish(Completed)
			}
		})
	}
}

// streamed answers at once with an event stream, of which each Read gives one event.
type streamed string

func (s streamed) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: &eventwise{rest: string(s)}}, nil
}

type eventwise struct{ rest string }

func (e *eventwise) Read(p []byte) (int, error) {
	if e.rest == "" {
		return 0, io.EOF
	}
	end := strings.Index(e.rest, "\n\n") + 2
	n := copy(p, e.rest[:end])
	e.rest = e.rest[n:]
	return n, nil
}

func (e *eventwise) Close() error { return nil }
