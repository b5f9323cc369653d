// Package summarize has models write the summaries that stand in prompts for the
// beginnings of long sessions, in the background.
//
// A summary is a view of the log and replaced by compare-and-swap only, so that
// what happens to a session meanwhile is neither lost nor covered wrongly. One job
// at a time works on a session, across all processes that share the store. An
// answer that is no good summary never replaces anything.
package summarize

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mnemo/memory"
)

// Defaults of Options.
const (
	DefaultMaxTokens = 512
	DefaultTimeout   = 30 * time.Second
	DefaultWorkers   = 4
	DefaultQueue     = 256
	DefaultInput     = 6000
)

// Errors of a Summarizer, beside RejectedError and those of the store.
var (
	// ErrBusy means that another job, here or in another process, has the session,
	// or that there is no such session.
	ErrBusy = errors.New("the session is being summarized already")
	// ErrPaused means that an attempt failed a short while ago.
	ErrPaused = errors.New("summarizing the session is paused after a failure")
	// ErrClosed is returned by a Summarizer that was closed.
	ErrClosed = errors.New("the summarizer is closed")
)

// A Completer asks a model. It is made for one job, because it carries the
// credentials of who asked; these are kept no longer than the job.
type Completer interface {
	// Complete returns the model's whole answer, of at most maxTokens tokens beside
	// what the model thinks. It returns soon after the context ends. An answer that
	// was cut off is an error or has its Finish. The error is logged.
	Complete(ctx context.Context, model string, messages []memory.Message, maxTokens int) (Completion, error)
}

// A Completion is what a model answered.
type Completion struct {
	Text    string
	Finish  string // the finish_reason
	Refused bool   // the message has a refusal
	Model   string // that answered; "": the one that was asked
}

// A Job is to bring a session's summary up to a place in its log.
type Job struct {
	Key    memory.Key
	Model  string          // of the call that needs it; asked unless Options name one
	Target memory.Position // before a user message, or the log's end
	// Completer asks the model.
	Completer Completer
	// Counter counts tokens as the session's model does. One that counts bytes makes
	// all limits here bytes.
	Counter *memory.Counter
}

// Options of a Summarizer. Only Store is needed.
type Options struct {
	Store     memory.Store
	Model     string        // asked for all summaries; "": each job's own
	MaxTokens int           // of a summary, without its frame; 0: DefaultMaxTokens
	Timeout   time.Duration // of one call; 0: DefaultTimeout
	Workers   int           // jobs at once in the background; 0: DefaultWorkers
	Queue     int           // jobs that wait; 0: DefaultQueue
	Input     int           // tokens of turns that one call folds; 0: DefaultInput
	Log       *slog.Logger  // nil: nothing is logged

	// Observe, if it is set, is told what becomes of each job and of its steps. It
	// must not block; many goroutines call it.
	Observe func(Outcome)
	Now     func() time.Time // nil: time.Now
}

// An Outcome is what became of one step of a job, or of a job that came to no step.
type Outcome struct {
	Key      memory.Key // for a log; it is no label of a metric
	Reason   Reason
	Model    string        // that was asked; "" if none was
	Duration time.Duration // of the call
	Folded   int           // tokens of the messages that were to be folded
	Tokens   int           // what the new summary adds to a prompt; 0 unless Done
	Err      error         // nil if Done
}

// A Summarizer works on jobs in the background. It must be closed.
type Summarizer struct {
	opts    Options
	jobs    chan Job
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	asked  map[memory.Key]struct{} // queued or at work
	pauses *pauses
}

// New returns a Summarizer that is ready to be asked.
func New(opts Options) *Summarizer {
	opts.MaxTokens = cmp.Or(opts.MaxTokens, DefaultMaxTokens)
	opts.Timeout = cmp.Or(opts.Timeout, DefaultTimeout)
	opts.Workers = cmp.Or(opts.Workers, DefaultWorkers)
	opts.Queue = cmp.Or(opts.Queue, DefaultQueue)
	opts.Input = cmp.Or(opts.Input, DefaultInput)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(Outcome) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Summarizer{
		opts:   opts,
		jobs:   make(chan Job, opts.Queue),
		asked:  make(map[memory.Key]struct{}),
		pauses: newPauses(opts.Now),
	}
	s.life, s.end = context.WithCancel(context.Background())
	for range opts.Workers {
		s.running.Go(s.work)
	}
	return s
}

// Ask queues a job and reports whether it did. It does not, and never blocks, if
// the session has a job already or pauses after a failure, if the queue is full or
// the Summarizer closed.
func (s *Summarizer) Ask(job Job) bool {
	queued, full := s.enqueue(job)
	if full {
		s.report(Outcome{Key: job.Key, Reason: Dropped, Err: errFull})
	}
	return queued
}

// Fold does the job now. It returns nil once the summary reaches the target, or the
// last place before it where one may end.
func (s *Summarizer) Fold(ctx context.Context, job Job) error {
	return s.now(ctx, &job, (*attempt).fold, true)
}

// Rebuild makes the session's summary anew from the log, up to where it reaches; if
// there is none, up to the target. The old one stays until the new one is whole. A
// pause after a failure does not hinder it.
func (s *Summarizer) Rebuild(ctx context.Context, job Job) error {
	return s.now(ctx, &job, (*attempt).rebuild, false)
}

// Close forgets the jobs that wait, and waits for those at work until the context
// ends. Then it cancels them and returns the context's error.
func (s *Summarizer) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.jobs)
	}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.end)
	s.running.Wait()
	s.end()
	if !stop() {
		return ctx.Err()
	}
	return nil
}

// Private

var errFull = errors.New("too many sessions wait for their summaries")

func (s *Summarizer) enqueue(job Job) (queued, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.asked[job.Key]; known || s.closed || s.pauses.holds(job.Key) {
		return false, false
	}
	select {
	case s.jobs <- job:
		s.asked[job.Key] = struct{}{}
		return true, false
	default:
		return false, true
	}
}

func (s *Summarizer) work() {
	for job := range s.jobs {
		if s.open() {
			_ = s.run(s.life, &job, (*attempt).fold) // it is reported
		}
		s.mu.Lock()
		delete(s.asked, job.Key)
		s.mu.Unlock()
	}
}

func (s *Summarizer) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed
}

// now does a job in the caller's goroutine.
func (s *Summarizer) now(ctx context.Context, job *Job, do task, pausing bool) error {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case pausing && s.pauses.holds(job.Key):
		s.mu.Unlock()
		return ErrPaused
	}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	return s.run(ctx, job, do)
}
