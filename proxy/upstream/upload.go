package upstream

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// Private

var errUploadClosed = errors.New("the upload is over")

// An upload is a one-shot body on its way up. The transport may read a body
// after its call has returned; an upload lets its owner take the stream back.
type upload struct {
	stream io.Reader
	length int64  // -1: unknown
	ended  func() // called when the last byte was read

	closed atomic.Bool
	mu     sync.Mutex // held while the stream is read; guards the rest
	read   int64
	begun  bool
	over   bool
	broken error
}

// Read reads the stream. One that ends early is an error: it must not go up as
// if it were whole.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed.Load() {
		return 0, errUploadClosed
	}
	u.begun = true
	n, err := u.stream.Read(p)
	u.read += int64(n)
	ended := err == io.EOF // a wrapped one is a failure
	if ended && u.read < u.length {
		ended, err = false, io.ErrUnexpectedEOF
	}
	if err != nil && !ended {
		u.broken = err
	}
	if !u.over && (ended || u.read == u.length) {
		u.over = true
		u.ended()
	}
	return n, err
}

// Close ends the upload; a Read under way goes on.
func (u *upload) Close() error {
	u.closed.Store(true)
	return nil
}

// takeBack closes the upload and waits for a Read under way. Afterwards the
// stream is its owner's again. It reports whether anything was read.
func (u *upload) takeBack() (begun bool, broken error) {
	u.closed.Store(true)
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.begun, u.broken
}

func (u *upload) failed() bool {
	_, broken := u.takeBack()
	return broken != nil
}
