package proxy

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/gjson"

	"mnemo/budget"
	"mnemo/proxy/upstream"
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
	end   sync.Once
	stop  chan struct{}
	done  chan struct{}
}

// A job is an exchange that is over.
type job struct {
	account
	request  telemetry.Request
	after    context.Context // carries what the access line tells
	report   *report         // nil: nothing of a chat call was sent
	answered bool            // the last answer was a 2xx
	kept     *keeping        // nil: the cache gets nothing
}

func newMeter(s *Server) *meter {
	m := &meter{s: s, jobs: make(chan *job, meterQueue), stop: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m
}

// account takes over the account of a finished exchange, and what of its answer is to
// be kept.
func (m *meter) account(x *exchange, kept *keeping) {
	j := &x.job
	j.s, j.set, j.after, j.kept = m.s, x.set, context.WithoutCancel(x.ctx), kept
	j.call.RequestID, j.call.Tenant = x.request.RequestID, x.caller.tenant
	if j.report != nil {
		j.keep(j.report.sent)
	}
	if x.shared != nil {
		j.bulk = x.request.BytesIn
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
	m.end.Do(func() { close(m.stop) })
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

// keep keeps the body that went up as long as somebody reads it.
func (j *job) keep(body string) {
	if j.span != nil && j.span.IsRecording() {
		j.call.Body = body
	}
	billed := func(a upstream.Attempt) bool { return a.Billed }
	if !j.report.measured() || slices.ContainsFunc(j.trail, billed) {
		j.sent = body
	}
	j.report.sent = ""
}

// size is what the job keeps in memory.
func (j *job) size() int64 {
	size := j.report.size() + int64(max(len(j.sent), len(j.call.Body)))
	for i := range j.trail {
		size += int64(len(j.trail[i].Output) + len(j.trail[i].Spoilt))
	}
	if j.kept != nil {
		size += int64(cap(j.kept.body))
	}
	return size
}

// settle writes the account. hurried says that a client waits for it: then an
// estimate is rough, and nothing is kept.
func (m *meter) settle(j *job, hurried bool) {
	defer m.s.survive("account")
	defer j.reservation.Settle(budget.Amount{}) // if nobody else can
	if j.span != nil {
		if j.rough = hurried; j.answered && j.report != nil {
			j.readUsage()
		}
		j.close()
		j.request.Usage, j.request.Memory = j.call.Usage, j.call.Memory
	}
	j.request.Upstream, j.request.KeyLabel, j.request.Attempts = j.call.Upstream, j.call.KeyLabel, j.call.Attempts
	m.s.Telemetry.Access(j.after, &j.request)
	if j.kept != nil && !hurried {
		j.kept.put()
	}
}

// readUsage fills in the call's usage and what the answer says about itself.
func (j *job) readUsage() {
	c, captures := &j.call, j.s.Telemetry.Captures(j.span)
	told, messages, thoughts := j.report.read(captures)
	if told == nil {
		told = new(reply)
	}
	c.ResponseID, c.ResponseModel, c.ServiceTier, c.Fingerprint = told.id, told.model, told.tier, told.fingerprint
	c.FinishReason, c.FinishReasons = told.finish, told.finishes()
	if captures {
		c.Output = messages
	}
	switch {
	case c.Cached:
	case told.measured:
		c.Usage = told.usage
	default:
		c.Usage = j.estimate(messages, thoughts)
		if j.report.deaf {
			c.Usage.Output = int(j.report.passed / bytesPerToken)
		}
	}
}

// aboutChat reads what routing and accounting need of a body that is passed
// through whatever it is.
func aboutChat(body string) (about struct {
	model  string
	stream bool
	size   answerSize
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
		default:
			about.size.read(key.Str, value)
		}
		return true
	})
	return about
}

// asksUsage reports whether a streamed call asks for its usage.
func asksUsage(body string) bool { return gjson.Get(body, "stream_options.include_usage").Bool() }
