package proxy

import (
	"bytes"
	"io"
	"net/http"

	"github.com/tidwall/gjson"

	"mnemo/proxy/apierror"
	"mnemo/proxy/upstream"
)

// answerLimit bounds a complete answer that is read before it is sent on.
const answerLimit = 64 << 20

// relayEvents streams the answer to the client, event by event.
func (r *recall) relayEvents() error {
	body, err := r.x.decodedBody()
	if err != nil {
		return err
	}
	r.x.begin()
	events := &events{r: r, from: body, limit: r.x.set.Limits.Event}
	r.x.stream(-1, events.copy)
	return nil
}

// relayWhole reads the complete answer, stores the turn and sends the answer on.
func (r *recall) relayWhole() error {
	x := r.x
	source, err := x.decodedBody()
	if err != nil {
		return err
	}
	body, err := x.readAnswer(source)
	text := ownString(body)
	whole := err == nil && len(body) <= answerLimit && validJSON(text, x.set.Limits.Depth)
	said := whole && r.reply.whole(text)
	if !r.reply.measured || x.s.Telemetry.Captures(x.span) {
		x.report = &report{sent: x.report.sent}
		x.report.seeWhole(body)
	}
	if err != nil {
		x.answerFailed(err)
		return cutBeforeHead(err)
	}
	if len(body) > answerLimit {
		return &apierror.Error{Status: http.StatusBadGateway, Type: apierror.TypeServer, Code: "answer_too_large",
			Message: "the upstream's answer is larger than the " + sizeText(answerLimit) + " that can be remembered; X-Memory-Mode: off passes it through"}
	}
	switch {
	case said:
		if err := r.commitWhole(wholeMessage(text, r.reply.reasoning)); err != nil {
			return err
		}
	case !whole && x.closeDelimited():
		// The end of the connection ended the body, or cut it.
		x.answerFailed(io.ErrUnexpectedEOF)
		return cutBeforeHead(io.ErrUnexpectedEOF)
	default:
		x.s.Log.WarnContext(x.ctx, "answer is no chat completion; the turn is not stored", "upstream", x.call.Upstream)
	}
	x.begin()
	x.send(body)
	return nil
}

// readAnswer reads one byte more than answerLimit at most from the answer's body, which
// may be decoded.
func (x *exchange) readAnswer(source io.Reader) ([]byte, error) {
	if source == io.Reader(x.answer.Body) {
		if whole, ok := x.atHand(); ok {
			return whole, nil
		}
	}
	var body bytes.Buffer
	if length := x.answer.ContentLength; length > 0 && length <= answerLimit {
		body.Grow(int(length) + bytes.MinRead) // ReadFrom wants room to see the end
	}
	_, err := body.ReadFrom(io.LimitReader(source, answerLimit+1))
	return body.Bytes(), err
}

// events relays the events of a stream with memory. Every byte is the upstream's,
// in its order; only the event that asking for usage caused is withheld.
type events struct {
	r      *recall
	from   io.Reader
	limit  int
	held   []byte // of an event that is not complete yet
	resume int    // where to look for its end
	// The last event ended with a CR at the end of what had come: an LF that comes
	// next belongs to it, and goes or stays with it.
	owed, withheld bool
	done           bool // [DONE] has come
	lost           bool // the turn could not be stored, and must be
}

// copy is the stream's copyFunc.
func (e *events) copy(w io.Writer) error {
	err := e.relay(w)
	if e.r.x.outcome == upstream.ClientGone {
		e.r.keepPartial()
	}
	return err
}

// Private

func (e *events) relay(w io.Writer) error {
	e.held = make([]byte, 0, firstBuffer)
	for {
		if cap(e.held)-len(e.held) < firstBuffer/2 {
			e.held = append(make([]byte, 0, 2*cap(e.held)), e.held...)
		}
		had := len(e.held)
		n, readErr := e.from.Read(e.held[had:cap(e.held)])
		e.held = e.held[:had+n]
		// A long event comes in many parts; without a line end it has not ended.
		if had == 0 || bytes.ContainsAny(e.held[had:], "\r\n") {
			if err := e.pass(w); err != nil {
				return err
			}
			if e.lost {
				return e.unstored(w)
			}
		}
		switch {
		case readErr == io.EOF:
			return e.end(w)
		case readErr != nil:
			return e.broken(w, readErr)
		case len(e.held) > e.limit:
			e.r.x.call.ErrorType = "event_too_large"
			return e.fail(w, "event_too_large", "an event of the answer is larger than "+sizeText(e.limit)+"; limits.sse_event raises that")
		}
	}
}

// pass writes the events that are complete.
func (e *events) pass(w io.Writer) error {
	from, at := 0, 0
	if e.owed && len(e.held) > 0 {
		if e.held[0] == '\n' {
			at = 1
			if e.withheld {
				from = 1
			}
		}
		e.owed = false
	}
	for {
		n, resume := eventEnd(e.held[at:], e.resume)
		if e.resume = resume; n < 0 {
			break
		}
		event := e.held[at : at+n]
		e.withheld = !e.see(event)
		if e.withheld {
			// Comments before it may have passed already; so they always do.
			if err := write(w, e.held[from:at+commentEnd(event)]); err != nil {
				return err
			}
			from = at + n
		}
		at += n
		e.owed = at == len(e.held) && event[n-1] == '\r'
	}
	if comments := commentEnd(e.held[at:]); comments > 0 {
		at += comments
		e.resume = 0
	}
	if err := write(w, e.held[from:at]); err != nil {
		return err
	}
	e.held = append(e.held[:0], e.held[at:]...)
	return nil
}

// see takes note of an event and reports whether the client gets it. The event
// that ends the answer is not passed before the turn is stored.
func (e *events) see(event []byte) bool {
	data := eventData(event)
	if len(data) == 0 {
		return true
	}
	if isDone(data) {
		e.done = true
		e.commit()
		return !e.lost
	}
	e.r.x.markFirst()
	e.r.reply.chunk(data)
	return !e.r.asked || !isUsageChunk(data)
}

func (e *events) commit() {
	if !e.r.reply.complete() {
		return
	}
	if raw, ok := e.r.reply.message(false); ok {
		err := e.r.commit(raw, false) // it has logged why not
		e.lost = e.lost || err != nil && e.r.x.set.Memory.FailClosed
	}
}

// end handles the end of the upstream's body. What is left is an event without
// its empty line.
func (e *events) end(w io.Writer) error {
	if len(e.held) > 0 && !e.see(e.held) {
		e.held = e.held[:commentEnd(e.held)]
	}
	if e.endUnmarked() {
		return e.broken(w, io.ErrUnexpectedEOF)
	}
	e.commit()
	if e.lost {
		return e.unstored(w)
	}
	return write(w, e.held)
}

// unstored ends a stream whose end the client must not see, because its turn is not
// stored and store.on_error is closed.
func (e *events) unstored(w io.Writer) error {
	e.r.x.call.ErrorType = "store_unavailable"
	return e.fail(w, "store_unavailable", "the turn cannot be stored now, and store.on_error is closed")
}

// endUnmarked reports whether the end of the body may as well be a cut: neither
// HTTP nor the stream itself says that it is whole.
func (e *events) endUnmarked() bool {
	return e.r.x.closeDelimited() && !e.done && e.r.reply.finish == ""
}

// closeDelimited reports whether only the end of the connection ends the answer.
func (x *exchange) closeDelimited() bool {
	a := x.answer
	return a.ProtoMajor == 1 && a.ContentLength < 0 && len(a.TransferEncoding) == 0
}

// broken ends a stream that the upstream did not complete.
func (e *events) broken(w io.Writer, cause error) error {
	e.r.x.answerFailed(cause)
	if e.r.x.outcome == upstream.ClientGone {
		return errCut
	}
	return e.fail(w, "upstream_stream_cut", "the upstream ended its answer before it was complete")
}

func (e *events) fail(w io.Writer, code, message string) error {
	if err := write(w, streamError(code, message)); err != nil {
		return err
	}
	return errCut
}

func write(w io.Writer, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := w.Write(p)
	return err
}

// isUsageChunk reports whether a chunk is the one that include_usage adds to a
// stream: it has usage and no choices.
func isUsageChunk(data []byte) bool {
	if !bytes.Contains(data, []byte(`"usage"`)) {
		return false
	}
	root := gjson.Parse(ownString(data))
	choices := root.Get("choices")
	return root.Get("usage").IsObject() && choices.IsArray() && choices.Get("#").Int() == 0
}
