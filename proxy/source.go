package proxy

import (
	"errors"
	"io"
	"time"

	"mnemo/proxy/answercache"
)

// keptLimit bounds what is kept of an answer for the cache: an event has many times
// the bytes of what it says.
const keptLimit = 2 * answercache.MaxAnswer

// A source is the body of an upstream's answer. It knows how long it was waited for
// and, if it is to be kept, what came.
type source struct {
	io.ReadCloser
	waited time.Duration
	last   time.Time // when the last part came
	keep   bool
	kept   []byte
	length int64 // as announced, or -1
	ended  bool  // with io.EOF
	over   bool  // it is more than keptLimit
}

// Read reads from the upstream.
func (s *source) Read(p []byte) (int, error) {
	begin := time.Now()
	n, err := s.ReadCloser.Read(p)
	s.last = time.Now()
	s.waited += s.last.Sub(begin)
	s.see(p[:n], err)
	return n, err
}

// Private

func (s *source) see(p []byte, err error) {
	if s.keep {
		if s.over = s.over || len(s.kept)+len(p) > keptLimit; s.over {
			s.kept = nil
		} else {
			s.kept = append(s.kept, p...)
		}
	}
	s.ended = s.ended || errors.Is(err, io.EOF)
}

// atHand returns the answer's body if all of it is there already.
func (x *exchange) atHand() (body []byte, ok bool) {
	if body, ok = x.answer.Whole(); ok {
		x.source.see(body, io.EOF)
	}
	return body, ok
}

// whole reports whether all of the answer was kept.
func (s *source) whole() bool {
	return s.keep && !s.over && (s.ended || s.length >= 0 && int64(len(s.kept)) == s.length)
}
