package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
)

// A relay reads firstBuffer bytes at once; while the upstream fills the buffer it
// grows to lastBuffer. Most streams never do.
const (
	firstBuffer = 4 << 10
	lastBuffer  = 64 << 10
)

// errCut is why a response ends without a proper end.
var errCut = errors.New("the answer was cut")

// A copyFunc writes a response's body to the client. Each of its writes reaches
// the client at once. It returns nil if the body is whole.
type copyFunc func(w io.Writer) error

// A relay is the body of a streamed response. fasthttp writes it after the
// handler returned and breaks the connection if that fails, so that a client
// never takes a part for the whole.
type relay struct {
	x    *exchange
	copy copyFunc
	conn net.Conn
	sent int64
	out  io.Writer
	push func() error // flushes what fasthttp would hold back, or nil
	// armed is when the deadline for writing was set last: a client that takes
	// nothing is let go.
	armed time.Time
}

// SupportsBodyWriteTo tells fasthttp to let WriteTo write.
func (r *relay) SupportsBodyWriteTo() bool { return true }

// WriteTo writes the body to the client. A panic cuts it: nobody else would catch one.
func (r *relay) WriteTo(w io.Writer) (n int64, err error) {
	defer r.x.s.survive("relay")
	r.out, err = w, errCut
	// Where the body's length is known fasthttp collects 16 kB before it writes.
	if buffered, ok := w.(interface{ Flush() error }); ok {
		r.push = buffered.Flush
	}
	err = r.copy(r)
	return r.sent, err
}

// Write writes a part of the body to the client.
func (r *relay) Write(p []byte) (int, error) {
	if now := r.now(); now.Sub(r.armed) > writeTimeout/4 {
		r.armed = now
		if err := r.conn.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
			return 0, err
		}
	}
	n, err := r.out.Write(p)
	r.sent += int64(n)
	if err == nil && r.push != nil {
		err = r.push()
	}
	if err != nil {
		r.x.clientLeft()
	}
	return n, err
}

// Read exists because fasthttp wants a reader; it uses WriteTo.
func (r *relay) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Close ends the exchange. fasthttp calls it when the body is written, or cannot
// be.
func (r *relay) Close() error {
	r.x.request.BytesOut = r.sent
	r.x.finish()
	return nil
}

// Private

// now is when the part came that is being written: in long streams looking at the clock
// once more would be felt.
func (r *relay) now() time.Time {
	if at := r.x.source.last; !at.IsZero() {
		return at
	}
	return time.Now()
}

// hijack writes the response without fasthttp, which would send chunks.
func (r *relay) hijack(web *fasthttp.RequestCtx) {
	web.Response.Header.SetConnectionClose()
	web.Response.Header.SetContentLength(-2) // neither a length nor chunks
	head := web.Response.Header.Header()
	head = append([]byte(nil), head...)
	web.HijackSetNoResponse(true)
	web.Hijack(func(conn net.Conn) {
		defer r.Close() //nolint:errcheck // it returns nil
		defer r.x.s.survive("relay")
		if _, err := conn.Write(head); err != nil {
			r.x.clientLeft()
			return
		}
		if _, err := r.WriteTo(conn); err != nil {
			resetAtClose(r.conn)
		}
	})
}

// clientLeft records that the client went before its answer was whole.
func (x *exchange) clientLeft() {
	x.outcome = upstream.ClientGone
	x.request.Status = statusClientGone
	x.call.ErrorType = "client_gone"
	x.cancel()
}

// answerFailed records why an answer's body could not be read to its end. One that is
// cut at a shutdown ends as if its client had left.
func (x *exchange) answerFailed(err error) {
	if x.over() {
		x.outcome, x.call.ErrorType = upstream.ClientGone, errOver.Code
		return
	}
	if errors.Is(err, context.Canceled) && x.ctx.Err() != nil {
		x.clientLeft()
		return
	}
	x.outcome = upstream.Cut
	x.call.ErrorType = "upstream_cut"
	x.s.Log.WarnContext(x.ctx, "answer was cut", "upstream", x.call.Upstream, "error", err)
}

// plainCopy passes an answer's body on as it comes. The report, if there is one,
// sees each part before the client gets it.
func (x *exchange) plainCopy(head []byte) copyFunc {
	// Where the length is announced or the stream is encoded an event would break
	// the framing; the broken connection must do.
	stream := isEventStream(x.answer.Header)
	inBand := x.request.Route == routeChat && stream &&
		x.answer.ContentLength < 0 && x.answer.Header.Get("Content-Encoding") == ""
	return func(w io.Writer) error {
		buf, tail := make([]byte, firstBuffer), boundary{}
		pass := func(p []byte) error {
			if len(p) == 0 {
				return nil
			}
			if x.report != nil {
				x.report.see(p)
			}
			if stream {
				x.markFirst()
			}
			tail.see(p)
			_, err := w.Write(p)
			return err
		}
		if err := pass(head); err != nil {
			return err
		}
		for {
			n, readErr := x.answer.Body.Read(buf)
			if err := pass(buf[:n]); err != nil {
				return err
			}
			if n == len(buf) && n < lastBuffer {
				buf = make([]byte, 2*n)
			}
			if readErr == io.EOF {
				return nil
			}
			if readErr != nil {
				x.answerFailed(readErr)
				if inBand && x.outcome == upstream.Cut {
					return x.sayCut(w, &tail)
				}
				return errCut
			}
		}
	}
}

// sayCut ends an event stream that the upstream cut with an error event, as a
// whole event of its own.
func (x *exchange) sayCut(w io.Writer, tail *boundary) error {
	event := streamError("upstream_stream_cut", "the upstream ended its answer before it was complete")
	if !tail.clean() {
		event = append([]byte("\n\n"), event...)
	}
	if _, err := w.Write(event); err != nil {
		return err
	}
	return errCut
}

// streamError is an error as an event.
func streamError(code, message string) []byte {
	e := apierror.Error{Status: http.StatusBadGateway, Type: apierror.TypeServer, Code: code, Message: message}
	return append(append([]byte("data: "), e.JSON()...), "\n\n"...)
}

// A boundary knows whether a stream stands between two events.
type boundary struct{ last [4]byte }

func (b *boundary) see(p []byte) {
	if len(p) >= len(b.last) {
		copy(b.last[:], p[len(p)-len(b.last):])
		return
	}
	copy(b.last[:], b.last[len(p):])
	copy(b.last[len(b.last)-len(p):], p)
}

func (b *boundary) clean() bool {
	s := string(b.last[:])
	return s == "\x00\x00\x00\x00" || s[2:] == "\n\n" || s[2:] == "\r\r" || s == "\r\n\r\n"
}

// firstRead reads what of the answer is there at once, so that a small one can
// be sent in one piece. A chat completion is of no use before it is whole: it is
// waited for, so that a cut can be told by a status, which clients understand.
func (x *exchange) firstRead() (head []byte, whole bool, err error) {
	length := x.answer.ContentLength
	if length == 0 || x.answer.Body == nil {
		return nil, true, nil
	}
	if head, whole = x.atHand(); whole {
		return head, true, nil
	}
	size, patient := length, x.isCompletion()
	switch {
	case length >= 0 && length <= lastBuffer:
	case patient:
		size = lastBuffer
	default:
		return nil, false, nil
	}
	head = make([]byte, size)
	n := 0
	for n < len(head) && (n == 0 || patient) {
		var more int
		more, err = x.answer.Body.Read(head[n:])
		if n += more; err != nil {
			break
		}
	}
	head = head[:n]
	switch {
	case int64(n) == length || err == io.EOF && length < 0:
		return head, true, nil
	case err == nil:
		return head, false, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	if x.report != nil {
		x.report.see(head)
	}
	x.answerFailed(err)
	return nil, false, cutBeforeHead(err)
}

// isCompletion reports whether the answer is a chat completion that is no stream, and
// whose end can be told from a cut.
func (x *exchange) isCompletion() bool {
	return x.request.Route == routeChat && !x.call.Stream && x.answer.StatusCode == http.StatusOK &&
		isKind(x.answer.Header, "application/json") && !x.closeDelimited()
}

// cutBeforeHead is the answer to a client that has seen nothing of an answer that
// was cut.
func cutBeforeHead(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &apierror.Error{Status: http.StatusBadGateway, Type: apierror.TypeServer, Code: "upstream_answer_cut",
		Message: "the upstream ended its answer before it was complete"}
}

func isEventStream(h http.Header) bool { return isKind(h, "text/event-stream") }

func isKind(h http.Header, want string) bool {
	kind := h.Get("Content-Type")
	return len(kind) >= len(want) && strings.EqualFold(kind[:len(want)], want)
}

// markFirst notes when the first part of a stream came.
func (x *exchange) markFirst() {
	if x.call.FirstChunk.IsZero() {
		x.call.FirstChunk = time.Now()
	}
	x.call.Chunks++
}
