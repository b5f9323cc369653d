package manage

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"mnemo/proxy/apierror"
)

// Private

const (
	maxBody     = 1 << 20         // bytes of any body but an import's
	bodyTimeout = 5 * time.Minute // for a body to arrive

	// skipLimit and skipTime bound how much of an unwanted body is read.
	skipLimit = 128 << 20
	skipTime  = 10 * time.Second
)

var errTooLarge = errors.New("the body is too large")

// An inbound is a body on its way in. It fails if it is longer than allowed or
// shorter than announced.
type inbound struct {
	from             io.Reader
	limit, announced int64 // announced is negative if it is not known
	read             int64
	failed           error
}

func (b *inbound) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	n, err := b.from.Read(p)
	b.read += int64(n)
	switch {
	case b.read > b.limit:
		b.failed = errTooLarge
	case errors.Is(err, io.EOF) && b.read < b.announced:
		b.failed = io.ErrUnexpectedEOF
	case err != nil && !errors.Is(err, io.EOF):
		b.failed = err
	default:
		return n, err
	}
	return 0, b.failed
}

// body gives read the body, of which it takes at most limit bytes.
func (r *request) body(limit int, read func(io.Reader) error) error {
	in := &inbound{limit: int64(limit), announced: int64(r.web.Request.Header.ContentLength())}
	if in.announced > in.limit {
		return tooLarge(limit)
	}
	if in.from = r.web.RequestBodyStream(); in.from == nil {
		in.from = bytes.NewReader(r.web.Request.Body())
	}
	conn := r.web.Conn()
	conn.SetReadDeadline(time.Now().Add(bodyTimeout)) //nolint:errcheck // then reading fails
	err := read(in)
	conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read says so itself
	switch {
	case errors.Is(in.failed, errTooLarge):
		return tooLarge(limit)
	case errors.Is(in.failed, os.ErrDeadlineExceeded):
		return &apierror.Error{Status: http.StatusRequestTimeout, Type: apierror.TypeInvalidRequest, Code: "body_timeout", Message: "the body did not arrive in time"}
	case in.failed != nil:
		return apierror.BadRequest("incomplete_body", "", "the body ended too early")
	}
	return err
}

// skipBody reads what is left of a body: it must not be taken for the next request,
// and a client that is still sending would not read the answer.
func (r *request) skipBody() {
	in, conn := r.web.RequestBodyStream(), r.web.Conn()
	if in == nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(skipTime)) //nolint:errcheck // then reading fails
	if _, err := io.CopyN(io.Discard, in, skipLimit); !errors.Is(err, io.EOF) {
		r.web.SetConnectionClose()
	}
	conn.SetReadDeadline(time.Time{}) //nolint:errcheck // the next read says so itself
}

// text reads a small body.
func (r *request) text() (string, error) {
	var text strings.Builder
	err := r.body(maxBody, func(in io.Reader) error {
		_, err := io.Copy(&text, in)
		return err
	})
	return text.String(), err
}
