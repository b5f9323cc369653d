package proxy

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/tidwall/gjson"

	"mnemo/telemetry"
)

const (
	// meterQueue is how many calls may wait to be accounted for, and meterBytes how
	// much their reports may hold. Beyond it a call is accounted for at once.
	meterQueue = 1024
	meterBytes = 8 << 20
)

// A meter accounts for calls after their clients have been served: it reads or
// estimates their usage and writes metrics, spans and the access line.
type meter struct {
	s     *Server
	jobs  chan *job
	bytes atomic.Int64 // held by the reports of jobs
	stop  chan struct{}
	done  chan struct{}
}

// A job is an exchange that is over.
type job struct {
	account
	request telemetry.Request
	ctx     context.Context
	report  *report
	kept    *keeping // nil: the cache gets nothing
}

func newMeter(s *Server) *meter {
	m := &meter{s: s, jobs: make(chan *job, meterQueue), stop: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m
}

// account takes over the account of a finished exchange, and what of its answer is to
// be kept.
func (m *meter) account(x *exchange, kept *keeping) {
	j := &job{
		account: account{
			set: x.set, call: x.call, span: x.span, trail: x.trail, reservation: x.reservation,
			unsent: x.unsent, fresh: x.fresh, count: m.s.countText,
		},
		request: x.request, ctx: context.WithoutCancel(x.ctx), report: x.report, kept: kept,
	}
	j.call.RequestID, j.call.Tenant = x.request.RequestID, x.caller.tenant
	if j.report != nil && x.shared != nil {
		j.report.bulk = x.request.BytesIn
	}
	if j.span != nil && j.span.IsRecording() && j.report != nil {
		j.call.Body = j.report.sent
	}
	size := j.size()
	if m.bytes.Add(size) <= meterBytes {
		select {
		case m.jobs <- j:
			return
		default:
		}
	}
	m.bytes.Add(-size)
	m.settle(j, true)
}

// close accounts for what is queued. What follows may be lost.
func (m *meter) close(ctx context.Context) {
	close(m.stop)
	select {
	case <-m.done:
	case <-ctx.Done():
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

func (m *meter) take(j *job) {
	m.bytes.Add(-j.size())
	m.settle(j, false)
}

// size is what the job keeps in memory.
func (j *job) size() int64 {
	size := j.report.size() + int64(len(j.call.Body))
	if j.kept != nil {
		size += int64(cap(j.kept.body))
	}
	return size
}

// settle writes the account. hurried says that a client waits for it: then an
// estimate is rough, and nothing is kept.
func (m *meter) settle(j *job, hurried bool) {
	defer m.s.survive("account")
	if j.span != nil {
		if j.report != nil && (j.call.Status/100 == 2 || j.call.Status == statusClientGone) {
			m.readUsage(j, hurried)
		}
		j.close(m.s)
		j.request.Usage, j.request.Memory = j.call.Usage, j.call.Memory
	}
	j.request.Upstream, j.request.KeyLabel, j.request.Attempts = j.call.Upstream, j.call.KeyLabel, j.call.Attempts
	m.s.Telemetry.Access(j.ctx, &j.request)
	if j.kept != nil && !hurried {
		j.kept.put()
	}
}

// readUsage fills in the call's usage and what the answer says about itself.
func (m *meter) readUsage(j *job, hurried bool) {
	captures := m.s.Telemetry.Captures(j.span)
	r, message := j.report.read(captures)
	if r == nil {
		return
	}
	j.call.ResponseID, j.call.ResponseModel, j.call.FinishReason = r.id, r.model, r.finish
	j.call.ServiceTier, j.call.Fingerprint = r.tier, r.fingerprint
	if captures {
		j.call.Output = []string{message}
	}
	switch j.call.Usage = r.usage; {
	case r.measured:
	case hurried:
		j.call.Usage = telemetry.Usage{Source: telemetry.Estimated,
			Input: len(j.report.sent) / bytesPerToken, Output: len(message) / bytesPerToken}
	default:
		j.call.Usage = m.estimate(j, message)
	}
}

// estimate counts a call whose upstream reported no usage.
func (m *meter) estimate(j *job, message string) telemetry.Usage {
	counter := m.s.Counter(j.call.RequestModel)
	usage := telemetry.Usage{Source: telemetry.Estimated, Input: replyPriming + int(j.report.bulk/bytesPerToken)}
	gjson.Parse(j.report.sent).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "messages":
			value.ForEach(func(_, m gjson.Result) bool {
				usage.Input += counter.Message(m.Raw)
				return true
			})
		case "tools", "functions", "response_format":
			usage.Input += counter.Fixed(value.Raw)
		}
		return true
	})
	usage.Output = max(0, counter.Message(message)-replyPriming)
	return usage
}

// bytesPerToken is what a token of English has, about.
const bytesPerToken = 4

// replyPriming is the tokens that begin each reply, and each message's markup.
const replyPriming = 3

// aboutChat reads what routing and accounting need of a body that is passed
// through whatever it is.
func aboutChat(body string) (about struct {
	model     string
	stream    bool
	maxTokens int // 0: no limit
}) {
	root := gjson.Parse(body)
	if !root.IsObject() {
		return about
	}
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "model":
			about.model = strings.Clone(value.String()) // a part of the body would keep all of it
		case "stream":
			about.stream = value.Type == gjson.True
		case "max_tokens", "max_completion_tokens":
			about.maxTokens = max(about.maxTokens, int(value.Int()))
		}
		return true
	})
	return about
}

// countText counts the tokens of a text that no message frames.
func (s *Server) countText(model, text string) int {
	message := append([]byte(`{"role":"assistant","content":`), gjson.AppendJSONString(nil, text)...)
	return max(0, s.Counter(model).Message(string(append(message, '}')))-replyPriming)
}

// asksUsage reports whether a streamed call asks for its usage.
func asksUsage(body string) bool { return gjson.Get(body, "stream_options.include_usage").Bool() }
