package proxy

import (
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
	s.waited += time.Since(begin)
	if s.keep {
		if s.over = s.over || len(s.kept)+n > keptLimit; s.over {
			s.kept = nil
		} else {
			s.kept = append(s.kept, p[:n]...)
		}
	}
	s.ended = s.ended || err == io.EOF
	return n, err
}

// Private

// whole reports whether all of the answer was kept.
func (s *source) whole() bool {
	return s.keep && !s.over && (s.ended || s.length >= 0 && int64(len(s.kept)) == s.length)
}
