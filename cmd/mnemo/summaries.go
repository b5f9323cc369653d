package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/gjson"

	"mnemo/config"
	"mnemo/memory"
	"mnemo/proxy"
	"mnemo/summarize"
)

// completionSlack is how many tokens more than the summary may have the model may
// take: what it thinks before it writes counts too.
const completionSlack = 2048

// summaries joins the proxy, which knows when a summary is due, with what makes
// them.
type summaries struct {
	now atomic.Pointer[summarize.Summarizer]
	of  config.Summarize // the settings of now
	old sync.WaitGroup   // those that are being closed
}

// Ask implements proxy.Summaries.
func (s *summaries) Ask(job proxy.FoldJob) bool { return s.now.Load().Ask(s.job(job)) }

// Fold implements proxy.Summaries.
func (s *summaries) Fold(ctx context.Context, job proxy.FoldJob) error {
	return s.now.Load().Fold(ctx, s.job(job))
}

// Rebuild implements proxy.Summaries.
func (s *summaries) Rebuild(ctx context.Context, job proxy.FoldJob) error {
	return s.now.Load().Rebuild(ctx, s.job(job))
}

// Private

func newSummaries(c *config.Config, a *app) *summaries {
	s := new(summaries)
	s.renew(c, a)
	return s
}

// apply has the summaries from now on made as the configuration says. Those under way
// come to their end.
func (s *summaries) apply(c *config.Config, a *app) {
	if s.of == c.Summarize {
		return
	}
	before := s.now.Load()
	s.renew(c, a)
	s.old.Go(func() { _ = before.Close(context.Background()) }) // each call has a deadline
}

// close waits for the summaries under way until ctx ends.
func (s *summaries) close(ctx context.Context) error {
	err := s.now.Load().Close(ctx)
	ended := make(chan struct{})
	go func() {
		s.old.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return err
}

func (s *summaries) renew(c *config.Config, a *app) {
	t := a.telemetry
	s.of = c.Summarize
	s.now.Store(summarize.New(summarize.Options{
		Store: a.store, Model: c.Summarize.Model, MaxTokens: c.Summarize.MaxTokens, Timeout: c.Summarize.Timeout,
		Log:     t.Logger(),
		Observe: func(o summarize.Outcome) { t.Summarized(string(o.Reason)) },
	}))
}

func (s *summaries) job(job proxy.FoldJob) summarize.Job {
	return summarize.Job{Key: job.Key, Model: job.Model, Target: job.Target, Counter: job.Counter, Completer: completer{job}}
}

// A completer asks a model on behalf of who asked for the summary.
type completer struct{ job proxy.FoldJob }

// Complete implements summarize.Completer. maxTokens bounds the text; the model gets
// some more, as some count what they think.
func (c completer) Complete(ctx context.Context, model string, messages []memory.Message, maxTokens int) (summarize.Completion, error) {
	body := completionBody(model, messages, fmt.Sprintf(`,"max_completion_tokens":%d`, maxTokens+completionSlack))
	answer, status, err := c.job.Ask(ctx, model, body)
	if err == nil && status == http.StatusBadRequest && strings.Contains(answer, "max_completion_tokens") {
		answer, status, err = c.job.Ask(ctx, model, completionBody(model, messages, "")) // an upstream that does not know it
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
