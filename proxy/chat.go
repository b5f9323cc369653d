package proxy

import (
	"net/http"

	"mnemo/proxy/apierror"
	"mnemo/telemetry"
)

// What X-Memory-Status says.
const (
	memoryOK       = "ok"
	memoryOff      = "off"
	memoryBypassed = "bypassed"
)

// chat answers a chat completion call, with memory if it names a session.
func (x *exchange) chat() error {
	text, whole, err := x.body.text(x.set.Limits.Body)
	if err != nil {
		return x.bodyFailed(err)
	}
	if !whole {
		return x.chatTooLong(text)
	}
	x.watchClient()
	wish, err := x.memoryWish()
	if err == nil {
		err = x.readCacheWish()
	}
	if err != nil {
		return err
	}
	if x.session == "" {
		return x.plainChat(text)
	}
	if wish.mode == modeOff {
		x.call.Memory.Status = memoryOff
		return x.plainChat(text)
	}
	request, err := parseChat(text, x.set.Limits.Depth)
	if err != nil {
		return err
	}
	if err := x.startCall(request.model, request.stream); err != nil {
		return err
	}
	request.incoming.At = x.call.Start
	return x.newRecall(request, wish).answer()
}

// Private

// startCall begins the account of the call, now that its model is known.
func (x *exchange) startCall(model string, stream bool) error {
	x.call.RequestModel, x.call.Stream, x.call.Session = model, stream, x.session
	x.request.Model, x.request.Session = model, x.session
	up := x.header.up
	x.ctx, x.span = x.s.Telemetry.StartCall(x.ctx, model, telemetry.Origin{
		Start: x.call.Start, Traceparent: up.Get("Traceparent"), Tracestate: up.Get("Tracestate"),
	})
	if parent, state := x.s.Telemetry.TraceHeader(x.span); parent != "" {
		up.Set("Traceparent", parent)
		if up.Del("Tracestate"); state != "" {
			up.Set("Tracestate", state)
		}
	}
	x.call.Parse = phase(x.call.Start, nil)
	return x.caller.mayUse(model)
}

// plainChat passes a call without a session through and reads its usage.
func (x *exchange) plainChat(body string) error {
	about := aboutChat(body)
	if err := x.startCall(about.model, about.stream); err != nil {
		return err
	}
	r := x.upstreamRequest()
	r.Body, r.Model = body, about.model
	x.report = &report{sent: body, deaf: true} // until there is an answer
	if err := x.askChat(r, about.stream, about.size); err != nil {
		return err
	}
	x.report = newReport(body, x.answer.Header.Get("Content-Encoding"), isEventStream(x.answer.Header))
	return x.pass()
}

// chatTooLong handles a body over the limit: with a session it cannot be served,
// without one it need not be read.
func (x *exchange) chatTooLong(head string) error {
	if x.session != "" {
		return &apierror.Error{Status: http.StatusRequestEntityTooLarge, Type: apierror.TypeInvalidRequest, Code: "body_too_large",
			Message: "with a session the body may have " + sizeText(x.set.Limits.Body) + "; limits.body raises that"}
	}
	r := x.upstreamRequest()
	x.lend(r, head)
	if err := x.startCall("", false); err != nil {
		return err
	}
	x.report = &report{deaf: true}
	if err := x.askWithin(r, answerSize{}); err != nil {
		return err
	}
	x.report = newReport("", x.answer.Header.Get("Content-Encoding"), isEventStream(x.answer.Header))
	return x.pass()
}
