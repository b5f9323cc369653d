package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"mnemo/config"
	"mnemo/memory"
	"mnemo/proxy"
	"mnemo/proxy/upstream"
	"mnemo/summarize"
	"mnemo/telemetry"
)

const (
	// maxCompletion bounds the answer that a summary is read from, in bytes.
	maxCompletion = 4 << 20
	// completionSlack is how many tokens more than the summary may have the model
	// may take: what it thinks before it writes counts too.
	completionSlack = 2048
)

// summaries joins the proxy, which knows when a summary is due, with what makes
// them.
type summaries struct {
	*summarize.Summarizer
	telemetry *telemetry.Telemetry
}

// Ask implements proxy.Summaries.
func (s *summaries) Ask(job proxy.FoldJob) bool { return s.Summarizer.Ask(s.job(job)) }

// Fold implements proxy.Summaries.
func (s *summaries) Fold(ctx context.Context, job proxy.FoldJob) error {
	return s.Summarizer.Fold(ctx, s.job(job))
}

// Rebuild implements proxy.Summaries.
func (s *summaries) Rebuild(ctx context.Context, job proxy.FoldJob) error {
	return s.Summarizer.Rebuild(ctx, s.job(job))
}

// Private

func newSummaries(c *config.Config, a *app) *summaries {
	return &summaries{telemetry: a.telemetry, Summarizer: summarize.New(summarize.Options{
		Store: a.store, Model: c.Summarize.Model, MaxTokens: c.Summarize.MaxTokens, Timeout: c.Summarize.Timeout,
		Log:     a.telemetry.Logger(),
		Observe: func(o summarize.Outcome) { a.telemetry.Summarized(string(o.Reason)) },
	})}
}

func (s *summaries) job(job proxy.FoldJob) summarize.Job {
	return summarize.Job{
		Key: job.Key, Model: job.Model, Target: job.Target, Counter: job.Counter,
		Completer: &completer{pool: job.Pool, telemetry: s.telemetry, session: job.Key.Session, header: job.Header},
	}
}

// A completer asks a model on behalf of the caller whose credentials it has.
type completer struct {
	pool      *upstream.Pool
	telemetry *telemetry.Telemetry
	session   string
	header    http.Header
}

// Complete implements summarize.Completer. maxTokens bounds the text; the model gets
// some more, as some count what they think.
func (c *completer) Complete(ctx context.Context, model string, messages []memory.Message, maxTokens int) (summarize.Completion, error) {
	body := completionBody(model, messages, fmt.Sprintf(`,"max_completion_tokens":%d`, maxTokens+completionSlack))
	answer, status, err := c.ask(ctx, model, body)
	if err == nil && status == http.StatusBadRequest && strings.Contains(answer, "max_completion_tokens") {
		answer, status, err = c.ask(ctx, model, completionBody(model, messages, "")) // an upstream that does not know it
	}
	if err != nil {
		return summarize.Completion{}, err
	}
	if status/100 != 2 {
		return summarize.Completion{}, fmt.Errorf("ask for a summary: the upstream answered with status %d", status)
	}
	if !gjson.Valid(answer) {
		return summarize.Completion{}, errors.New("ask for a summary: the answer is no JSON")
	}
	choice := gjson.Get(answer, "choices.0")
	return summarize.Completion{
		Text:    choice.Get("message.content").String(),
		Finish:  choice.Get("finish_reason").String(),
		Refused: choice.Get("message.refusal").String() != "",
		Model:   gjson.Get(answer, "model").String(),
	}, nil
}

func (c *completer) ask(ctx context.Context, model, body string) (answer string, status int, err error) {
	header := c.header.Clone()
	header.Set("Content-Type", "application/json")
	call := telemetry.ChatCall{Summary: true, RequestModel: model, Session: c.session, Start: time.Now()}
	ctx, span := c.telemetry.StartSummary(ctx, model)
	defer func() {
		call.End, call.Status = time.Now(), status
		if err != nil {
			call.ErrorType = "summary_failed"
		}
		call.ResponseModel = gjson.Get(answer, "model").String()
		call.Usage.Measure(gjson.Get(answer, "usage"))
		c.telemetry.EndChat(span, &call)
	}()
	reply, err := c.pool.Do(ctx, &upstream.Request{
		Method: http.MethodPost, Target: "/chat/completions", Header: header, Body: body, Model: model, Background: true,
	})
	if err != nil {
		return "", 0, fmt.Errorf("ask for a summary: %w", err)
	}
	call.Upstream, call.KeyLabel, call.Attempts = reply.Upstream, reply.Key, reply.Attempts
	text, err := io.ReadAll(io.LimitReader(reply.Body, maxCompletion+1))
	if err != nil || len(text) > maxCompletion {
		reply.Finish(upstream.Cut)
		return "", 0, fmt.Errorf("read the summary: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	reply.Finish(upstream.Completed)
	return string(text), reply.StatusCode, nil
}

func completionBody(model string, messages []memory.Message, more string) string {
	b := append([]byte(`{"model":`), gjson.AppendJSONString(nil, model)...)
	b = append(append(b, more...), `,"messages":[`...)
	for i := range messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, messages[i].Raw...)
	}
	return string(append(b, "]}"...))
}
