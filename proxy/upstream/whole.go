package upstream

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

const (
	maxWhole   = 8 << 20 // of an answer that is read before it is passed on
	firstWhole = 64 << 10
)

// Whole returns the body if all of it is there and none of it was read yet, which is
// then done. It must not be changed.
func (a *Answer) Whole() (body []byte, ok bool) {
	if a.flight == nil {
		return nil, false
	}
	came, ok := a.flight.source.(*replay)
	if !ok || !came.fresh || came.err != io.EOF { //nolint:errorlint // what reading to the end ends with
		return nil, false
	}
	body, came.came, came.fresh = came.came, nil, false
	return body, true
}

// Private

// spoilt is an answer that no client could take for one.
var spoilt = finding{kind: failed, whole: true}

// A replay is the body of an answer that was read ahead: what came, then what
// reading ended with, or what follows.
type replay struct {
	came  []byte
	err   error // nil: rest follows
	rest  io.ReadCloser
	fresh bool // nothing was read
}

func (r *replay) Read(p []byte) (int, error) {
	r.fresh = false
	if len(r.came) > 0 {
		n := copy(p, r.came)
		if r.came = r.came[n:]; len(r.came) > 0 {
			return n, nil
		}
		return n, r.err
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.rest.Read(p)
}

func (r *replay) Close() error { return r.rest.Close() }

// renewable reports whether the call is for a chat completion that could be asked for
// again if its answer turns out to be none.
func (c *call) renewable() bool {
	return c.attempts <= c.retries && c.request.chat() && !c.request.Background && c.request.Stream == nil
}

// chat reports whether a chat completion is asked for.
func (r *Request) chat() bool {
	path, _, _ := strings.Cut(r.Target, "?")
	return path == chatTarget && r.Method == http.MethodPost
}

func asksStream(body string) bool { return gjson.Get(body, "stream").Bool() }

// complete reports whether an answer is no stream, whatever its type says. Its
// length tells more cheaply than the prompt.
func (l *leg) complete() bool {
	return !isStream(l.resp.Header) && (l.resp.ContentLength >= 0 || !asksStream(l.asked.Body))
}

// readWhole reads an answer to its end and judges it. One that was cut, or is no
// completion, fails; it can still be passed on as it came. An error means that a
// limit passed or that nobody waits any more.
func (f *flight) readWhole() (finding, error) {
	resp := f.answer.Response
	if resp.ContentLength > maxWhole {
		return finding{kind: spoken}, nil
	}
	size := int64(firstWhole)
	if n := resp.ContentLength; n >= 0 && n < size {
		size = n + 1 // the end is seen without growing
	} else if n < 0 {
		size = bufferSize
	}
	body, err := make([]byte, 0, size), error(nil)
	for err == nil && len(body) <= maxWhole {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		var n int
		n, err = f.Read(body[len(body):cap(body)])
		if body = body[:len(body)+n]; n > 0 {
			f.spoke()
		}
	}
	if err != nil && f.ctx.Err() != nil {
		return finding{}, err
	}
	f.source = &replay{came: body, err: err, rest: f.source, fresh: true}
	switch {
	case err == nil: // it is longer
		return finding{kind: spoken}, nil
	case !errors.Is(err, io.EOF):
		f.shelf, f.shelved = body, true
		return spoilt, nil
	}
	found := judgeWhole(resp.Header, body)
	if found.kind == failed {
		f.shelf, f.shelved = body, true
	}
	return found, nil
}

// judgeWhole tells whether a client could take an answer for a completion, or for
// an error that it must meet elsewhere, too.
func judgeWhole(h http.Header, body []byte) finding {
	switch {
	case isKind(h, "text/html"):
		return spoilt
	case !isKind(h, "application/json"), h.Get("Content-Encoding") != "":
		return finding{kind: spoken}
	case !validJSON(unsafe.String(unsafe.SliceData(body), len(body))): // nobody writes to it any more
		return spoilt
	}
	if gjson.GetBytes(body, "choices").Exists() || gjson.GetBytes(body, "error").Type == gjson.Null {
		return finding{kind: spoken}
	}
	fault := faultOf(body)
	if fault.final() {
		return finding{kind: spoken}
	}
	return finding{kind: failed, fault: fault, whole: true}
}
