package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
)

// passThrough sends the request up and the answer down without a change.
func (x *exchange) passThrough() error {
	r := x.upstreamRequest()
	text, whole, err := "", false, error(nil)
	if x.body.length >= 0 && x.body.length <= replayLimit {
		if text, whole, err = x.body.text(replayLimit); err != nil {
			return x.bodyFailed(err)
		}
	}
	if whole {
		r.Body = text
		if strings.HasPrefix(x.header.up.Get("Content-Type"), "application/json") {
			r.Model = aboutChat(text).model
		}
		x.watchClient()
	} else {
		x.lend(r, "")
	}
	if listing := x.target.path() == "/models" && x.web.IsGet(); !listing {
		if err := x.caller.mayUse(r.Model); err != nil {
			return err
		}
	}
	if err := x.ask(r); err != nil {
		return err
	}
	return x.pass()
}

// Private

// pass answers with the upstream's own bytes. The report, if there is one, sees
// them.
func (x *exchange) pass() error {
	length := x.answer.ContentLength
	if x.bodiless() {
		x.begin()
		x.web.Response.SkipBody = true
		if length >= 0 {
			x.web.Response.Header.SetContentLength(int(length))
		}
		return nil
	}
	head, whole, err := x.firstRead()
	if err != nil {
		return err
	}
	x.begin()
	if whole {
		if x.report != nil {
			x.report.seeWhole(head)
		}
		x.send(head)
		return nil
	}
	x.stream(length, x.plainCopy(head))
	return nil
}

// bodiless reports whether the answer has no body whatever its header says (RFC
// 9110, section 6.4.1).
func (x *exchange) bodiless() bool {
	code := x.answer.StatusCode
	return x.web.IsHead() || code == 204 || code == 304
}

// upstreamRequest is the request as it goes up, without a body yet.
func (x *exchange) upstreamRequest() *upstream.Request {
	r := &upstream.Request{Method: x.request.Method, Target: x.target.rest, Header: x.header.up, Tenant: x.caller.tenant}
	if x.session != "" {
		r.Sticky = x.caller.tenant + "\x00" + x.session // a key has no NUL
		if x.set.CacheKeys {
			sum := sha256.Sum256([]byte(r.Sticky))
			r.CacheKey = hex.EncodeToString(sum[:16]) // neither the tenant nor the session can be told from it
		}
	}
	return r
}

// lend makes what is left of the body, behind head, the body of r, until the
// exchange ends.
func (x *exchange) lend(r *upstream.Request, head string) {
	x.shared = &sharedBody{in: x.body, onEnd: x.watchClient}
	x.upload = pollGone(x.body.conn, x.cancel)
	if head != "" {
		x.shared.head = strings.NewReader(head)
	}
	r.Stream, r.Length = x.shared, x.body.length
}

// bodyFailed is the error of a request whose body did not arrive.
func (x *exchange) bodyFailed(err error) error {
	if connClosed(x.body.conn) {
		x.cancel()
		return x.ctx.Err()
	}
	x.s.Log.WarnContext(x.ctx, "read request body", "error", err)
	return apierror.BadRequest("incomplete_body", "", "the request's body did not arrive whole")
}
