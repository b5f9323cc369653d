package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// An exchange is one request on the data plane, from its head to the last byte
// of its answer. It ends once, in finish, wherever the request's way ends.
type exchange struct {
	s       *Server
	set     *settings            // those that were in force when it came
	web     *fasthttp.RequestCtx // must not be touched after the handler returned
	target  target
	header  requestHeader
	caller  caller
	session string // "" if the request names none
	body    *inbound
	shared  *sharedBody // the body, while the transport reads it; else nil

	ctx    context.Context // ends when the client is gone or the exchange over
	cancel context.CancelFunc
	watch  *goneWatch
	upload *gonePoll // while the body is lent, else nil
	answer *upstream.Answer
	source source  // the answer's body
	cache  *lookup // nil: the cache has no part in it

	reserved bool             // the budgets were asked
	thrifty  bool             // they allow a cheaper model only
	outcome  upstream.Outcome // of the answer's body
	finished bool
	refused  bool // for too many requests in flight; it does not count as one
	streamed bool // the response's body is written after the handler returned

	job // what is accounted for when it is over
}

// Routes as the access line and the metrics name them.
const (
	routeChat = "chat"
	routePass = "pass-through"
)

func (s *Server) newExchange(web *fasthttp.RequestCtx, t target) *exchange {
	x := &exchange{s: s, set: s.now(), web: web, target: t, body: newInbound(web), outcome: upstream.Completed}
	x.ctx, x.cancel = context.WithCancel(s.ctx)
	x.call.Start = time.Now()
	s.exchanges.Add(1)
	s.Telemetry.InFlight(1)
	x.request = telemetry.Request{Method: string(web.Method()), Route: routePass}
	if t.path() == chatTarget && web.IsPost() {
		x.request.Route = routeChat
	}
	return x
}

// serve answers the request. Whatever goes wrong, the client hears of it.
func (x *exchange) serve() {
	defer func() {
		// The rest of an unread body must not be taken for the next request.
		if !x.bodyRead() {
			x.web.SetConnectionClose()
		}
		if !x.streamed {
			x.request.BytesOut = int64(len(x.web.Response.Body()))
			x.finish()
		}
	}()
	defer x.survive()
	now := x.s.inFlight.Add(1)
	if limit := x.set.Limits.InFlight; limit > 0 && now > limit {
		x.s.inFlight.Add(-1)
		x.refused = true
		x.fail(&apierror.Error{Status: http.StatusServiceUnavailable, Type: apierror.TypeServer, Code: "too_many_requests_in_flight", RetryAfter: time.Second,
			Message: "mnemo is answering limits.in_flight requests already (" + strconv.FormatInt(limit, 10) + "); try again, or raise the limit"})
		return
	}
	if err := x.admit(); err != nil {
		x.fail(err)
		return
	}
	if err := x.route(); err != nil {
		x.fail(err)
	}
}

// finish ends the exchange: the answer is released, the call accounted for.
func (x *exchange) finish() {
	if x.finished {
		return
	}
	x.finished = true
	if x.shared != nil {
		x.shared.take()
	}
	x.upload.stop()
	x.watch.stop()
	kept := x.keeping()
	x.release(x.outcome)
	x.cancel()
	if !x.refused {
		x.s.inFlight.Add(-1)
	}
	x.s.Telemetry.InFlight(-1)
	x.call.End = time.Now()
	x.call.Status = x.request.Status
	x.request.Duration = x.call.End.Sub(x.call.Start)
	x.request.BytesIn = x.body.read
	x.web, x.header, x.source = nil, requestHeader{}, source{} // the job that waits shall not keep them
	x.s.meter.account(x, kept)
	x.s.exchanges.Done()
}

// Private

// admit reads what every request says of itself: its header, its caller, its
// session.
func (x *exchange) admit() (err error) {
	x.header = x.set.readHeader(&x.web.Request.Header)
	if x.caller, err = x.set.auth.caller(x.header.up); err != nil {
		return err
	}
	if err := x.set.auth.checkPage(&x.web.Request.Header); err != nil {
		return err
	}
	named, inHeader := x.header.own[x.set.Memory.SessionHeader]
	switch {
	case x.request.Route != routeChat:
		return nil // memory is entered by chat completions alone
	case x.header.ownRepeated != "":
		return apierror.BadRequest("repeated_header", x.header.ownRepeated, "the header came more than once")
	// The id outlives the request, in caches: it must not keep the whole header.
	case inHeader:
		x.session = strings.Clone(named)
	case x.target.inPath:
		x.session = strings.Clone(x.target.session)
	default:
		return nil
	}
	return x.checkSession()
}

func (x *exchange) bodyRead() bool {
	if x.shared != nil {
		return x.shared.ended()
	}
	return x.body.skip()
}

func (x *exchange) route() error {
	if x.request.Route == routeChat {
		return x.chat()
	}
	return x.passThrough()
}

// fail answers with an error of ours.
func (x *exchange) fail(err error) {
	e := asAPIError(err)
	if e.Status == statusClientGone && x.over() {
		e = errOver
	}
	if e.Status == http.StatusInternalServerError {
		x.s.Log.ErrorContext(x.ctx, "request", "error", err)
	}
	x.request.Status = e.Status
	x.call.ErrorType = e.Code
	x.setFault(err)
	if e.Status == statusClientGone {
		// Whoever may still listen must not see an answer.
		x.outcome = upstream.ClientGone
		x.request.RequestID = newRequestID()
		x.web.HijackSetNoResponse(true)
		x.web.Hijack(func(net.Conn) {})
		return
	}
	e.Write(x.web)
	x.writeOwnHeader()
}

// over reports whether the call was cut at a shutdown.
func (x *exchange) over() bool { return errors.Is(context.Cause(x.ctx), errOver) }

// survive makes an error of a panic.
func (x *exchange) survive() {
	if cause := recover(); cause != nil {
		x.streamed = false
		x.fail(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		x.web.SetConnectionClose()
	}
}

// setFault keeps what a failed call to an upstream tells.
func (x *exchange) setFault(err error) {
	var up *upstream.Error
	if errors.As(err, &up) {
		x.call.Upstream, x.call.Attempts = up.Upstream, up.Attempts
		x.follow(up.Trail)
	}
}

// ask sends the request upstream and begins the response with the answer's head.
func (x *exchange) ask(r *upstream.Request) error {
	begin := time.Now()
	x.answered = false
	answer, err := x.set.Pool.Do(x.ctx, r)
	x.call.UpstreamWait += time.Since(begin)
	if err != nil {
		return err
	}
	x.take(answer)
	return nil
}

// take makes an answer the exchange's.
func (x *exchange) take(answer *upstream.Answer) {
	x.source = source{ReadCloser: answer.Body, length: answer.ContentLength}
	answer.Body = &x.source
	x.answer, x.answered = answer, answer.StatusCode/100 == 2
	x.request.Status = answer.StatusCode
	x.call.Upstream, x.call.KeyLabel, x.call.Attempts, x.call.Degraded = answer.Upstream, answer.Key, answer.Attempts, answer.Degraded
}

// release ends the answer that there is, if there is one.
func (x *exchange) release(outcome upstream.Outcome) {
	if x.answer == nil {
		return
	}
	x.answer.Finish(outcome)
	x.call.UpstreamWait += x.source.waited
	x.follow(x.answer.Trail())
	x.answer = nil
}

// follow keeps the attempts that were made.
func (x *exchange) follow(trail []upstream.Attempt) {
	if x.trail == nil {
		x.trail = trail
		return
	}
	x.trail = slices.Concat(x.trail, trail)
}

// begin writes the answer's status and header to the response.
func (x *exchange) begin() {
	response := &x.web.Response
	response.SetStatusCode(x.answer.StatusCode)
	writeHeader(&response.Header, x.answer.Header)
	x.writeOwnHeader()
}

// watchClient ends the exchange when the client goes away. The request's body
// must have been read.
func (x *exchange) watchClient() { x.watch = watchGone(x.web.Conn(), x.cancel) }

// send makes a body that is at hand the response's.
func (x *exchange) send(body []byte) {
	x.web.Response.SetBodyRaw(body)
}

// stream makes copy write the response's body after the handler returned. length
// is -1 if it is not known.
func (x *exchange) stream(length int64, copy copyFunc) {
	x.streamed = true
	body := &relay{x: x, copy: copy, conn: x.web.Conn()}
	x.web.Response.ImmediateHeaderFlush = true
	if !x.web.Request.Header.IsHTTP11() && length < 0 {
		// HTTP/1.0 knows no chunks; the end of the connection ends the body.
		body.hijack(x.web)
		return
	}
	x.web.Response.SetBodyStream(body, int(length))
}
