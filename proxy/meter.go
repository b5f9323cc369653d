package proxy

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"

	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/trace"

	"mnemo/telemetry"
)

const (
	// meterQueue is how many calls may wait to be accounted for, and meterBytes how
	// much their reports may hold. Beyond it a call is accounted for at once.
	meterQueue = 1024
	meterBytes = 8 << 20
	// reportLimit bounds what is kept of an answer to read its usage from; of a
	// longer one nothing is known.
	reportLimit = 4 << 20
)

// A report is what the tokens of a chat call can be told from.
type report struct {
	sent     string // the body that went up
	reply    *reply // of a call with memory; else raw is read
	raw      bytes.Buffer
	encoding string // of raw
	sse      bool
	overflow bool
}

// A meter accounts for calls after their clients have been served: it reads or
// estimates their usage and writes metrics, spans and the access line.
type meter struct {
	s     *Server
	jobs  chan job
	bytes atomic.Int64 // held by the reports of jobs
	stop  chan struct{}
	done  chan struct{}
}

type job struct {
	call    telemetry.ChatCall
	request telemetry.Request
	span    trace.Span
	ctx     context.Context
	report  *report
}

func newMeter(s *Server) *meter {
	m := &meter{s: s, jobs: make(chan job, meterQueue), stop: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m
}

// account takes over the account of a finished exchange.
func (m *meter) account(x *exchange) {
	j := job{call: x.call, request: x.request, span: x.span, ctx: context.WithoutCancel(x.ctx), report: x.report}
	size := j.report.size()
	if m.bytes.Add(size) <= meterBytes {
		select {
		case m.jobs <- j:
			return
		default:
		}
	}
	m.bytes.Add(-size)
	m.settle(&j)
}

// close accounts for what is queued. What follows may be lost.
func (m *meter) close(ctx context.Context) {
	close(m.stop)
	select {
	case <-m.done:
	case <-ctx.Done():
	}
}

// see returns the function that is shown an answer's bytes as they pass.
func (r *report) see(x *exchange) func([]byte) {
	return func(p []byte) {
		if r.sse {
			x.markFirst()
		}
		if r.raw.Len()+len(p) > reportLimit {
			r.overflow = true
			r.raw = bytes.Buffer{}
		}
		if !r.overflow {
			r.raw.Write(p)
		}
	}
}

// Private

func (m *meter) run() {
	defer close(m.done)
	for {
		select {
		case j := <-m.jobs:
			m.take(j)
		case <-m.stop:
			for range len(m.jobs) {
				m.take(<-m.jobs)
			}
			return
		}
	}
}

func (m *meter) take(j job) {
	m.bytes.Add(-j.report.size())
	m.settle(&j)
}

// size is what the report keeps in memory.
func (r *report) size() int64 {
	if r == nil {
		return 0
	}
	if r.reply != nil && r.reply.measured {
		r.sent = "" // only an estimate reads it
	}
	return int64(len(r.sent) + r.raw.Cap())
}

func (m *meter) settle(j *job) {
	if j.span != nil {
		if j.report != nil && j.call.Status/100 == 2 || j.call.Status == statusClientGone && j.report != nil {
			m.readUsage(j)
		}
		j.request.Usage, j.request.Memory = j.call.Usage, j.call.Memory
		m.s.Telemetry.EndChat(j.span, &j.call)
	}
	j.request.Upstream, j.request.KeyLabel, j.request.Attempts = j.call.Upstream, j.call.KeyLabel, j.call.Attempts
	m.s.Telemetry.Access(j.ctx, &j.request)
}

// readUsage fills in the call's usage and what the answer says about itself.
func (m *meter) readUsage(j *job) {
	r := j.report.reply
	if r == nil {
		r = j.report.read()
	}
	if r == nil {
		return
	}
	j.call.ResponseID, j.call.ResponseModel, j.call.FinishReason = r.id, r.model, r.finish
	if r.measured {
		j.call.Usage = r.usage
		return
	}
	j.call.Usage = m.estimate(j, r)
}

// read makes a reply of the raw bytes, or nil if there is none in them.
func (r *report) read() *reply {
	if r.overflow || r.raw.Len() == 0 {
		return nil
	}
	body := r.raw.Bytes()
	if r.encoding != "" {
		decoded, known, err := decoder(r.encoding, &r.raw)
		if !known || err != nil {
			return nil
		}
		// A stream that was cut decodes to its beginning.
		if body, err = io.ReadAll(io.LimitReader(decoded, 4*reportLimit)); err != nil && len(body) == 0 {
			return nil
		}
	}
	out := new(reply)
	if !r.sse {
		if !out.whole(ownString(body)) {
			return nil
		}
		return out
	}
	for len(body) > 0 {
		n := eventEnd(body)
		if n < 0 {
			n = len(body)
		}
		if data := eventData(body[:n]); len(data) > 0 && !bytes.Equal(data, streamDone) {
			out.chunk(data)
		}
		body = body[n:]
	}
	return out
}

// estimate counts a call whose upstream reported no usage.
func (m *meter) estimate(j *job, r *reply) telemetry.Usage {
	counter := m.s.Counter(j.call.RequestModel)
	usage := telemetry.Usage{Source: telemetry.Estimated, Input: replyPriming}
	count := counter.Message
	gjson.Parse(j.report.sent).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "messages":
			value.ForEach(func(_, message gjson.Result) bool {
				usage.Input += count(message.Raw)
				return true
			})
		case "tools", "functions", "response_format":
			usage.Input += counter.Fixed(value.Raw)
		}
		return true
	})
	raw := ""
	if j.report.reply == nil && !j.report.sse {
		raw = wholeMessage(j.report.raw.String())
	} else {
		raw, _ = r.message(false)
	}
	usage.Output = max(0, count(raw)-replyPriming)
	return usage
}

// replyPriming is the tokens that begin each reply, and each message's markup.
const replyPriming = 3

// aboutChat reads what routing and accounting need of a body that is passed
// through whatever it is.
func aboutChat(body string) (about struct {
	model  string
	stream bool
}) {
	root := gjson.Parse(body)
	if !root.IsObject() {
		return about
	}
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "model":
			about.model = strings.Clone(value.String())
		case "stream":
			about.stream = value.Type == gjson.True
		}
		return true
	})
	return about
}
