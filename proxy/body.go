package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// replayLimit is the size up to which a pass-through body is read before it is
// sent, so that a failed attempt can be repeated. Larger ones are streamed.
const replayLimit = 1 << 20

// trustedLength is the length up to which a body's memory is taken before the
// body is there.
const trustedLength = 256 << 10

// skipLimit and skipTime bound how much of an unwanted body is read.
const (
	skipLimit = 128 << 20
	skipTime  = 10 * time.Second
)

var errBodyClosed = errors.New("the request is over")

// An inbound is a request's body on its way in.
type inbound struct {
	reader io.Reader // nil if there is no body
	length int64     // -1 if it is not known
	conn   net.Conn
	read   int64
	ended  bool
	failed error // what reading ended with; there is no going on behind it
}

// newInbound looks at the body of a request; nothing is read yet.
func newInbound(web *fasthttp.RequestCtx) *inbound {
	b := &inbound{conn: web.Conn(), length: int64(web.Request.Header.ContentLength())}
	b.reader = web.Request.BodyStream()
	if b.length < -1 {
		b.length = 0
	}
	if b.reader == nil || b.length == 0 {
		b.reader, b.length, b.ended = nil, 0, true
	}
	return b
}

// Read reads the body. A body that ends early is an error: fasthttp takes the
// end of the connection for the end of the body.
func (b *inbound) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	if b.failed != nil {
		return 0, b.failed
	}
	n, err := b.reader.Read(p)
	b.read += int64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		b.failed = err
	case b.length >= 0 && b.read < b.length, b.length < 0 && hungUp(b.conn):
		b.failed = io.ErrUnexpectedEOF
	default:
		b.ended = true
		return n, io.EOF
	}
	return n, b.failed
}

// skip reads what is left of the body, within bounds: a client that is still
// sending would not read the answer, and lose it when the connection is closed.
// It reports whether the body has been read whole.
func (b *inbound) skip() bool {
	if b.ended || b.failed != nil {
		return b.ended
	}
	b.conn.SetReadDeadline(time.Now().Add(skipTime)) //nolint:errcheck // then reading fails
	io.CopyN(io.Discard, b, skipLimit)               //nolint:errcheck // then the body stays unread
	b.conn.SetReadDeadline(time.Time{})              //nolint:errcheck // the next read says so itself
	return b.ended
}

// drained reads what another handler left of a request's body, within bounds, and
// reports whether its end was reached.
func drained(web *fasthttp.RequestCtx) bool {
	rest := web.Request.BodyStream()
	if rest == nil {
		return true
	}
	conn := web.Conn()
	conn.SetReadDeadline(time.Now().Add(skipTime)) //nolint:errcheck // then reading fails
	_, err := io.CopyN(io.Discard, rest, skipLimit)
	conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read says so itself
	return errors.Is(err, io.EOF)
}

// text reads the body if it has at most limit bytes. whole is false if it has
// more; text is then what was read of it.
func (b *inbound) text(limit int) (text string, whole bool, err error) {
	if b.length > int64(limit) {
		return "", false, nil
	}
	if b.length >= 0 && b.length <= trustedLength {
		out := make([]byte, b.length)
		_, err = io.ReadFull(b, out)
		b.ended = err == nil
		return ownString(out), b.ended, err
	}
	var out bytes.Buffer
	_, err = out.ReadFrom(io.LimitReader(b, int64(limit)+1))
	return ownString(out.Bytes()), out.Len() <= limit, err
}

// A sharedBody lends the inbound body to the transport, whose goroutine may
// still be reading it when the answer is already there.
type sharedBody struct {
	mu     sync.Mutex
	head   io.Reader // what was read of the body already
	in     *inbound
	closed bool
	onEnd  func() // called once when the body has been read whole
}

func (b *sharedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errBodyClosed
	}
	if b.head != nil {
		if n, err := b.head.Read(p); n > 0 || err == nil {
			return n, nil
		}
		b.head = nil
	}
	wasEnded := b.in.ended
	n, err := b.in.Read(p)
	if b.in.ended && !wasEnded {
		b.onEnd()
	}
	return n, err
}

// ended reports whether the body has been read whole.
func (b *sharedBody) ended() bool {
	if !b.mu.TryLock() {
		return false // somebody waits for more of it
	}
	defer b.mu.Unlock()
	return b.in.ended
}

// take ends the lending. When it returns, nobody reads the connection any more.
func (b *sharedBody) take() {
	if b.mu.TryLock() {
		b.closed = true
		b.mu.Unlock()
		return
	}
	b.in.conn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // then the read has ended anyway
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.in.conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read says so itself
}
