package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/trace"

	"mnemo/budget"
	"mnemo/memory"
	"mnemo/proxy/upstream"
	"mnemo/telemetry"
)

// maxSummaryAnswer bounds the answer that a summary is read from, in bytes.
const maxSummaryAnswer = 4 << 20

// Summaries makes summaries of sessions.
type Summaries interface {
	// Ask has a summary made in the background. It never waits and reports whether
	// the job was taken.
	Ask(job FoldJob) bool
	// Fold makes a summary and returns when it is stored, or when there is reason
	// to go on without.
	Fold(ctx context.Context, job FoldJob) error
	// Rebuild makes the summary that there is anew from the log.
	Rebuild(ctx context.Context, job FoldJob) error
}

// A FoldJob asks for a summary.
type FoldJob struct {
	Key     memory.Key
	Model   string          // of the call
	Target  memory.Position // where the summary should end
	Counter *memory.Counter

	s     *Server
	set   *settings
	asked trace.SpanContext // of the call that needs the summary, if there is one
	// header carries the credentials with which the upstream is called. They live
	// as long as the job, in memory only.
	header http.Header
}

// Ask makes a chat completion call for the job, with the credentials and on the account
// of who asked for the summary. It returns the whole answer, whatever its status.
func (j *FoldJob) Ask(ctx context.Context, model, body string) (answer string, status int, err error) {
	r := &upstream.Request{
		Method: http.MethodPost, Target: chatTarget, Header: j.header.Clone(), Body: body, Model: model,
		Tenant: j.Key.Tenant, Background: true,
	}
	r.Header.Set("Content-Type", "application/json")
	a := &account{s: j.s, set: j.set, sent: body, call: telemetry.ChatCall{
		Summary: true, RequestModel: model, Session: j.Key.Session, Tenant: j.Key.Tenant, Start: time.Now(), RequestID: newRequestID(),
	}}
	if err := j.reserve(ctx, a, r); err != nil {
		return "", 0, err
	}
	ctx, a.span = j.s.Telemetry.StartSummary(ctx, model, j.links()...)
	if parent, _ := j.s.Telemetry.TraceHeader(a.span); parent != "" {
		r.Header.Set("Traceparent", parent)
	}
	answer, err = j.send(ctx, a, r)
	a.call.End = time.Now()
	if err != nil {
		a.call.ErrorType = "summary_failed"
	}
	a.call.ResponseModel = gjson.Get(answer, "model").String()
	if a.call.Status/100 == 2 && !a.call.Usage.Measure(gjson.Get(answer, "usage")) {
		a.call.Usage = a.estimate(wholeMessages(closed(answer)), nil)
	}
	a.close()
	return answer, a.call.Status, err
}

// Private

// credentials are the header fields by which an upstream knows who calls and who
// pays.
var credentials = []string{"Authorization", "Api-Key", "Openai-Organization", "Openai-Project"}

func (s *Server) foldJob(set *settings, key memory.Key, model string, header http.Header) FoldJob {
	job := FoldJob{Key: key, Model: model, Counter: s.Counter(model), s: s, set: set, header: make(http.Header, 2)}
	for _, name := range credentials {
		if values, ok := header[name]; ok {
			job.header[name] = values
		}
	}
	return job
}

func (j *FoldJob) links() []trace.SpanContext {
	if !j.asked.IsValid() {
		return nil
	}
	return []trace.SpanContext{j.asked}
}

// reserve asks the budgets; what they say of degrading is for calls that somebody waits
// for.
func (j *FoldJob) reserve(ctx context.Context, a *account, r *upstream.Request) error {
	if j.set.Budgets == nil {
		return nil
	}
	reservation, verdict := j.set.Budgets.Reserve(ctx, budget.Call{
		Tenant: j.Key.Tenant, Session: j.Key.Session, Model: r.Model, Estimate: j.set.expect(r, answerSize{}),
	})
	if a.reservation = reservation; verdict.Action == budget.Block {
		return errOverBudget
	}
	return nil
}

// send makes the call and reads the answer.
func (j *FoldJob) send(ctx context.Context, a *account, r *upstream.Request) (string, error) {
	reply, err := j.set.Pool.Do(ctx, r)
	if err != nil {
		if failed := (*upstream.Error)(nil); errors.As(err, &failed) {
			a.trail, a.call.Upstream, a.call.Attempts = failed.Trail, failed.Upstream, failed.Attempts
		}
		return "", fmt.Errorf("ask for a summary: %w", err)
	}
	a.call.Upstream, a.call.KeyLabel, a.call.Attempts, a.call.Status = reply.Upstream, reply.Key, reply.Attempts, reply.StatusCode
	text, err := io.ReadAll(io.LimitReader(reply.Body, maxSummaryAnswer+1))
	outcome := upstream.Completed
	if err == nil && len(text) > maxSummaryAnswer {
		err = io.ErrShortBuffer
	}
	if err != nil {
		outcome = upstream.Cut
	}
	reply.Finish(outcome)
	a.trail = reply.Trail()
	a.call.UpstreamWait = time.Since(a.call.Start)
	if err != nil {
		return string(text), fmt.Errorf("read the summary: %w", err)
	}
	return string(text), nil
}
