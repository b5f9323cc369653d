package proxy

import (
	"bytes"
	"io"
)

// reportLimit bounds what is kept of an answer to read its usage from; of a
// longer one nothing is known.
const reportLimit = 4 << 20

// A report is what the tokens of a chat call can be told from. A call with
// memory has its reply gathered already; else the report watches the answer pass.
type report struct {
	sent     string // the body that went up; "" if it was too long to be kept
	reply    *reply // nil if raw is still to be read
	encoding string // of raw
	raw      []byte // a whole answer, or an encoded one
	event    []byte // of a stream, not complete yet
	resume   int    // where to look for its end
	deaf     bool   // the answer was too long, or is of no interest
	passed   int64  // bytes of the answer
}

// newReport watches an answer that is passed on as it is.
func newReport(sent, encoding string, sse bool) *report {
	r := &report{sent: sent, encoding: encoding}
	if sse && encoding == "" {
		r.reply = &reply{limit: reportLimit, loose: true}
	}
	return r
}

// see takes note of a part of the answer. Only an answer that is encoded, or no
// stream, has to be kept for later.
func (r *report) see(p []byte) {
	r.passed += int64(len(p))
	switch {
	case r.deaf:
	case r.reply != nil && len(r.event)+len(p) <= reportLimit:
		r.listen(p)
	case r.reply == nil && len(r.raw)+len(p) <= reportLimit:
		r.raw = append(r.raw, p...)
	default:
		r.deaf, r.raw, r.event = true, nil, nil
	}
}

// seeWhole takes note of a complete answer, which must not change any more.
func (r *report) seeWhole(body []byte) {
	if r.reply == nil && !r.deaf && len(r.raw) == 0 && len(body) <= reportLimit {
		r.raw, r.passed = body, int64(len(body))
		return
	}
	r.see(body)
}

// size is what the report keeps in memory.
func (r *report) size() int64 {
	if r == nil {
		return 0
	}
	size := len(r.sent) + cap(r.raw) + cap(r.event)
	if r.reply != nil {
		size += r.reply.gathered + min(r.reply.beside, othersLimit)
	}
	return int64(size)
}

// measured reports whether the answer is known to have told its usage.
func (r *report) measured() bool { return r.reply != nil && r.reply.measured }

// read returns what the answer told, or nil if nothing can be told, and the messages of
// its choices and what was thought before, where that is wanted or an estimate needs it.
func (r *report) read(want bool) (told *reply, messages, thoughts []string) {
	if r.reply != nil {
		r.listen([]byte("\n\n")) // ends an event that was cut
		if want || !r.reply.measured {
			messages, thoughts = r.reply.messages(), r.reply.thought()
		}
		return r.reply, messages, thoughts
	}
	if r.deaf {
		return nil, nil, nil
	}
	body := r.body()
	if told = (&reply{limit: reportLimit, loose: true}); told.whole(body) {
		if !told.measured || want {
			messages = wholeMessages(closed(body))
		}
		return told, messages, nil
	}
	if r.encoding == "" {
		return nil, nil, nil
	}
	stream := report{reply: told}
	stream.listen([]byte(body))
	return stream.read(want)
}

// Private

func (r *report) listen(p []byte) {
	if len(r.event) > 0 {
		r.event = append(r.event, p...)
		p = r.event
	}
	for {
		n, resume := eventEnd(p, r.resume)
		if r.resume = resume; n < 0 {
			break
		}
		if data := eventData(p[:n]); len(data) > 0 && !isDone(data) {
			r.reply.chunk(data)
		}
		p = p[n:]
	}
	r.event = append(r.event[:0], p...)
}

// body is the raw answer, decoded; "" if that cannot be done. One that was cut
// decodes to its beginning.
func (r *report) body() string {
	if r.encoding == "" {
		return ownString(r.raw)
	}
	decoded, known, err := decoder(r.encoding, bytes.NewReader(r.raw))
	if !known || err != nil {
		return ""
	}
	body, _ := io.ReadAll(io.LimitReader(decoded, 4*reportLimit)) //nolint:errcheck // see above
	return ownString(body)
}
