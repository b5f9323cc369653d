package summarize

import (
	"cmp"
	"context"
	"errors"
	"time"

	"mnemo/memory"
)

// Private

// maxConflicts is how often in a job the session may have changed.
const maxConflicts = 5

// A draft is a summary that is not stored yet.
type draft struct {
	summary  memory.Summary
	after    memory.Revision // where the one before it was
	previous int64           // its version; 0: there was none
	part     stretch
	outcome  Outcome
}

// fold brings the summary to the target, step by step.
func (a *attempt) fold(ctx context.Context) error {
	var made *draft
	for conflicts := 0; ; {
		session, err := a.opts.Store.Load(ctx, a.job.Key, memory.Need{})
		if err != nil {
			return err
		}
		part, err := a.next(ctx, a.job.Key, session.Summary, a.job.Target)
		if err != nil || part.empty() {
			return err
		}
		if made == nil || !made.fits(&session, &part) {
			if made, err = a.draft(ctx, session.Revision, session.Summary, part); err != nil {
				return err
			}
		}
		switch err = a.opts.Store.Compact(ctx, a.job.Key, session.Revision, &made.summary); {
		case err == nil:
			a.report(made.outcome)
			made = nil
		case !errors.Is(err, memory.ErrConflict) || conflicts == maxConflicts:
			return err
		default: // an edit; what was folded is not what it changed, as a rule
			conflicts++
		}
	}
}

// rebuild makes a summary from the log's beginning and puts it in place of the old.
func (a *attempt) rebuild(ctx context.Context) error {
	for conflicts := 0; ; conflicts++ {
		session, err := a.opts.Store.Load(ctx, a.job.Key, memory.Need{})
		if err != nil {
			return err
		}
		target := a.job.Target
		if old := session.Summary; old != nil {
			target = memory.Position{UpTo: old.UpTo, Left: old.Left}
		}
		var previous *memory.Summary
		var made *draft
		for {
			part, err := a.next(ctx, a.job.Key, previous, target)
			if err != nil {
				return err
			}
			if part.empty() {
				break
			}
			if made, err = a.draft(ctx, session.Revision, previous, part); err != nil {
				return err
			}
			previous = &made.summary
		}
		if made == nil {
			return nil
		}
		err = a.replace(ctx, session, made)
		if !errors.Is(err, memory.ErrConflict) || conflicts == maxConflicts {
			return err
		}
	}
}

// replace puts a summary in place of the session's, which reaches no less far. As
// long as that one stands, nothing that it covers was superseded.
func (a *attempt) replace(ctx context.Context, session memory.Session, made *draft) error {
	old := session.Summary
	for range maxConflicts {
		err := a.opts.Store.Compact(ctx, a.job.Key, session.Revision, &made.summary)
		if err == nil {
			a.report(made.outcome)
		}
		if !errors.Is(err, memory.ErrConflict) {
			return err
		}
		life := session.Revision.Life
		if session, err = a.opts.Store.Load(ctx, a.job.Key, memory.Need{}); err != nil {
			return err
		}
		if old == nil || session.Summary == nil || session.Summary.Version != old.Version || session.Revision.Life != life {
			break
		}
	}
	return memory.ErrConflict
}

// draft has the model write the summary of the previous one and a stretch.
func (a *attempt) draft(ctx context.Context, base memory.Revision, previous *memory.Summary, part stretch) (*draft, error) {
	if err := a.lease(ctx); err != nil {
		return nil, err
	}
	model, start := cmp.Or(a.opts.Model, a.job.Model), a.opts.Now()
	claim, err := a.claim(ctx, model, previous, &part)
	outcome := Outcome{Key: a.job.Key, Reason: Done, Model: model, Duration: a.opts.Now().Sub(start), Folded: part.tokens, Err: err}
	if err != nil {
		var rejected *RejectedError
		if errors.As(err, &rejected) {
			outcome.Reason = rejected.Reason
			a.report(outcome)
		}
		return nil, err
	}
	made := &draft{part: part, after: base, outcome: outcome, summary: memory.Summary{
		Text: claim.text, UpTo: part.end.UpTo, Left: part.end.Left, Covered: part.covered,
		Model: cmp.Or(claim.answer.Model, model), At: a.opts.Now().Truncate(time.Millisecond),
	}}
	made.summary.Tokens = count(a.job.Counter, made.summary.Block())
	made.outcome.Tokens = made.summary.Tokens
	if previous != nil {
		made.previous = previous.Version
	}
	return made, nil
}

// claim asks the model and checks what it answers. Its error is a RejectedError
// unless the context ended.
func (a *attempt) claim(ctx context.Context, model string, previous *memory.Summary, part *stretch) (*claim, error) {
	lines := linesOf(part.messages, a.opts.Input)
	answer, err := a.complete(ctx, model, promptOf(previous, transcriptOf(lines, a.opts.Input), a.opts.MaxTokens))
	if err != nil {
		return nil, err
	}
	made := &claim{
		answer: answer, text: tidy(answer.Text), previous: previous, lines: lines, replaced: part.tokens, limit: a.opts.MaxTokens,
		count: func(text string) int { return count(a.job.Counter, text) },
	}
	if reason := made.rejection(); reason != "" {
		return nil, &RejectedError{Reason: reason}
	}
	return made, nil
}

// complete asks the model, in time.
func (a *attempt) complete(ctx context.Context, model string, messages []memory.Message) (Completion, error) {
	limited, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	answer, err := a.job.Completer.Complete(limited, model, messages, int(tolerance*float64(a.opts.MaxTokens)))
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return Completion{}, ctx.Err()
	case limited.Err() != nil:
		return Completion{}, &RejectedError{Reason: TimedOut, Err: err}
	}
	return Completion{}, &RejectedError{Reason: Failed, Err: err}
}

// fits reports whether the draft is of what is to be folded now.
func (d *draft) fits(session *memory.Session, part *stretch) bool {
	version := int64(0)
	if session.Summary != nil {
		version = session.Summary.Version
	}
	return d.after.Life == session.Revision.Life && d.previous == version && d.part.same(part)
}

// count is the tokens of a text in a system message.
func count(c *memory.Counter, text string) int {
	t := memory.Turn{Messages: []memory.Message{messageOf(memory.RoleSystem, text)}}
	c.CountTurn(&t)
	return t.Tokens()
}
