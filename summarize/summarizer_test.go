package summarize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mnemo/internal/bubble"
	"mnemo/memory"
)

// seen are outcomes as they were observed.
type seen struct {
	mu  sync.Mutex
	all []Outcome
}

func (s *seen) observe(o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, o)
}

func (s *seen) reasons() []Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	reasons := make([]Reason, len(s.all))
	for i := range s.all {
		reasons[i] = s.all[i].Reason
	}
	return reasons
}

// named is the log of another session of the same store.
func (l *log) named(session string) *log {
	return &log{t: l.t, store: l.store, key: memory.Key{Tenant: "tenant", Session: session}}
}

// blocked is a model that answers when it is let to.
func blocked(release <-chan struct{}) completer {
	return func(ctx context.Context, record, transcript string) (Completion, error) {
		select {
		case <-release:
			return extract(ctx, record, transcript)
		case <-ctx.Done():
			return Completion{}, ctx.Err()
		}
	}
}

func TestSummarizer_works_in_the_background_and_once_per_session(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.talk(10)
		var observed seen
		s := started(t, Options{Store: l.store, Observe: observed.observe})
		release := make(chan struct{})
		if !s.Ask(l.job(8, blocked(release))) {
			t.Fatal("not queued")
		}
		synctest.Wait()
		if s.Ask(l.job(8, blocked(release))) {
			t.Error("queued again while it runs")
		}
		if err := s.Fold(t.Context(), l.job(8, blocked(release))); !errors.Is(err, ErrBusy) {
			t.Errorf("folded in the foreground meanwhile: %v", err)
		}
		close(release)
		synctest.Wait()
		if got := l.check().Summary; got == nil || got.UpTo != 8 {
			t.Errorf("%+v", got)
		}
		o := observed.all[len(observed.all)-1]
		if o.Reason != Done || o.Key != l.key || o.Model != "gpt-4o" || o.Folded == 0 || o.Tokens != l.summary().Tokens || o.Err != nil {
			t.Errorf("%+v", o)
		}
		if !s.Ask(l.job(9, completer(extract))) {
			t.Error("not queued after the job was done")
		}
		synctest.Wait()
	})
}

func TestSummarizer_asks_its_own_model_if_it_has_one(t *testing.T) {
	l := newLog(t)
	l.talk(6)
	s := started(t, Options{Store: l.store, Model: "small", MaxTokens: 400})
	c := asking(func(model string, maxTokens int) (Completion, error) {
		if model != "small" || maxTokens != 600 {
			t.Errorf("asked %q for %d tokens", model, maxTokens)
		}
		return Completion{Text: "The user wants ITEM-1000, ITEM-1001, ITEM-1002 and ITEM-1003 to be remembered."}, nil
	})
	if err := s.Fold(t.Context(), Job{Key: l.key, Model: "large", Target: memory.Position{UpTo: 4}, Completer: c, Counter: counter}); err != nil {
		t.Fatal(err)
	}
	if got := l.check().Summary; got.Model != "small" {
		t.Errorf("%+v", got)
	}
}

// asking is a completer that looks at what it is asked.
type asking func(model string, maxTokens int) (Completion, error)

func (a asking) Complete(_ context.Context, model string, _ []memory.Message, maxTokens int) (Completion, error) {
	return a(model, maxTokens)
}

func TestSummarizer_drops_jobs_when_its_queue_is_full(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLog(t)
		var observed seen
		s := started(t, Options{Store: l.store, Workers: 1, Queue: 2, Observe: observed.observe})
		release := make(chan struct{})
		ask := func(i int) bool {
			other := l.named(fmt.Sprintf("s%d", i))
			other.talk(4)
			return s.Ask(other.job(3, blocked(release)))
		}
		if !ask(0) {
			t.Error("the first was not queued")
		}
		synctest.Wait() // it is at work
		if !ask(1) || !ask(2) {
			t.Error("the queue took too few")
		}
		if ask(3) {
			t.Error("the queue took too many")
		}
		if got := observed.reasons(); len(got) != 1 || got[0] != Dropped {
			t.Errorf("observed %v", got)
		}
		close(release)
		synctest.Wait()
		if got := observed.reasons(); len(got) != 4 {
			t.Errorf("observed %v", got)
		}
		if !s.Ask(l.named("s3").job(3, completer(extract))) {
			t.Error("what was dropped cannot be asked for again")
		}
		synctest.Wait()
	})
}

func TestSummarizer_waits_longer_after_each_failure(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.talk(6)
		s := started(t, Options{Store: l.store})
		broken := completer(func(context.Context, string, string) (Completion, error) {
			return Completion{}, errors.New("out of order")
		})
		wait := time.Duration(0)
		for range 14 {
			start := time.Now()
			for !s.Ask(l.job(5, broken)) {
				time.Sleep(100 * time.Millisecond)
			}
			if paused := time.Since(start); wait > 0 && (paused < wait-time.Second || paused > min(wait*5/4, 5*time.Minute)+time.Second) {
				t.Errorf("paused for %v, not about %v", paused, wait)
			}
			synctest.Wait()
			if err := s.Fold(t.Context(), l.job(5, broken)); !errors.Is(err, ErrPaused) {
				t.Errorf("in the foreground: %v", err)
			}
			wait = min(max(2*wait, time.Second), 4*time.Minute)
		}
		if err := s.Rebuild(t.Context(), l.job(5, completer(extract))); err != nil {
			t.Errorf("a rebuild was hindered: %v", err)
		}
		if err := s.Fold(t.Context(), l.job(5, completer(extract))); err != nil {
			t.Errorf("a success did not end the pause: %v", err)
		}
	})
}

func TestSummarizer_gives_a_model_so_long_and_no_longer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.talk(6)
		var observed seen
		s := started(t, Options{Store: l.store, Timeout: 20 * time.Second, Observe: observed.observe})
		start := time.Now()
		var rejected *RejectedError
		if err := s.Fold(t.Context(), l.job(5, blocked(nil))); !errors.As(err, &rejected) || rejected.Reason != TimedOut || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took != 20*time.Second || observed.all[0].Duration != took || observed.all[0].Reason != TimedOut {
			t.Errorf("it took %v, observed %+v", took, observed.all)
		}
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // the caller's own deadline
		defer cancel()
		if err := s.Fold(ctx, l.job(5, blocked(nil))); !errors.As(err, &rejected) || rejected.Reason != TimedOut {
			t.Errorf("%v", err)
		}
		time.Sleep(3 * time.Second)
		gone, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		if err := s.Fold(gone, l.job(5, blocked(nil))); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := s.Fold(t.Context(), l.job(5, completer(extract))); err != nil {
			t.Errorf("that a caller left was held against the session: %v", err)
		}
	})
}

func TestSummarizer_survives_a_panic_of_a_model_client(t *testing.T) {
	l := newLog(t)
	l.talk(6)
	var observed seen
	var written bytes.Buffer
	s := started(t, Options{Store: l.store, Observe: observed.observe, Log: slog.New(slog.NewTextHandler(&written, nil))})
	var rejected *RejectedError
	err := s.Fold(t.Context(), l.job(5, completer(func(context.Context, string, string) (Completion, error) { panic("Bearer sk-secret") })))
	if !errors.As(err, &rejected) || rejected.Reason != Failed {
		t.Errorf("%v", err)
	}
	s.pauses.succeeded(l.key)
	if err := s.Fold(t.Context(), l.job(5, nil)); !errors.As(err, &rejected) || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("%v", err)
	}
	if got := observed.reasons(); len(got) != 2 || got[0] != Failed || got[1] != Failed {
		t.Errorf("observed %v", got)
	}
	if text := written.String(); strings.Contains(text, "sk-secret") || strings.Count(text, "reason=error") != 2 {
		t.Errorf("logged %s", text)
	}
	s.pauses.succeeded(l.key)
	if err := s.Fold(t.Context(), l.job(5, completer(extract))); err != nil {
		t.Errorf("the lease was kept: %v", err)
	}
}

func TestSummarizer_waits_for_its_jobs_when_it_is_closed(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.talk(6)
		other := l.named("other")
		other.talk(6)
		s := New(Options{Store: l.store, Workers: 1})
		release := make(chan struct{})
		s.Ask(l.job(5, blocked(release)))
		synctest.Wait()
		s.Ask(other.job(5, completer(extract)))
		closed := make(chan error)
		go func() { closed <- s.Close(context.Background()) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("it did not wait")
		default:
		}
		if s.Ask(other.job(5, completer(extract))) || !errors.Is(s.Fold(t.Context(), other.job(5, nil)), ErrClosed) {
			t.Error("it takes jobs though it is closed")
		}
		close(release)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if l.check().Summary == nil || other.check().Summary != nil {
			t.Error("the job at work was not finished, or one that waited was begun")
		}
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

func TestSummarizer_cancels_its_jobs_when_it_is_not_waited_for(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.talk(6)
		other := l.named("other")
		other.talk(6)
		var observed seen
		s := New(Options{Store: l.store, Timeout: time.Hour, Observe: observed.observe})
		s.Ask(l.job(5, blocked(nil)))
		folded := make(chan error)
		go func() { folded <- s.Fold(context.Background(), other.job(5, blocked(nil))) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		closed := make(chan error)
		go func() { closed <- s.Close(ctx) }()
		if err := <-folded; !errors.Is(err, context.Canceled) {
			t.Errorf("the job in the foreground: %v", err)
		}
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if got := observed.reasons(); len(got) != 2 || got[0] != Cancelled || got[1] != Cancelled {
			t.Errorf("observed %v", got)
		}
		l.check()
		held, err := l.store.Lease(t.Context(), l.key, "another", time.Second)
		if !held || err != nil {
			t.Errorf("the lease was kept: %v, %v", held, err)
		}
	})
}

// Two processes, as two Summarizers with stores of their own on one file, never
// have one session at once.
func TestSummarizers_that_share_a_store_share_out_the_sessions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	first := &log{t: t, store: opened(t, path), key: key}
	var processes []*Summarizer
	for range 2 {
		processes = append(processes, started(t, Options{Store: opened(t, path), Input: 400}))
	}
	const sessions, rounds = 4, 6
	logs := make([]*log, sessions)
	atWork := make([]atomic.Int32, sessions)
	var most, calls atomic.Int32
	for i := range logs {
		logs[i] = first.named(fmt.Sprintf("s%d", i))
	}
	for range rounds {
		var asked sync.WaitGroup
		for i, l := range logs {
			l.talk(8)
			target := int64(l.turns - 2)
			c := completer(func(ctx context.Context, record, transcript string) (Completion, error) {
				if n := atWork[i].Add(1); n > most.Load() {
					most.Store(n)
				}
				defer atWork[i].Add(-1)
				calls.Add(1)
				return extract(ctx, record, transcript)
			})
			for _, s := range processes {
				for range 3 {
					asked.Go(func() {
						s.pauses.succeeded(l.key)
						if err := s.Fold(context.Background(), l.job(target, c)); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrPaused) {
							t.Error(err)
						}
					})
				}
			}
		}
		asked.Wait()
		for _, l := range logs {
			if got := l.check().Summary; got == nil || got.UpTo != int64(l.turns-2) {
				t.Errorf("%+v of %d turns", got, l.turns)
			}
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d at work on one session at once", most.Load())
	}
	// 48 turns of 56 tokens in steps of at most 400, and no step twice
	if n := calls.Load(); n < sessions*rounds || n > sessions*rounds*2 {
		t.Errorf("%d calls", n)
	}
}

func TestSummarizer_logs_no_content_and_no_session(t *testing.T) {
	l := newLog(t)
	l.talk(6)
	var written bytes.Buffer
	s := started(t, Options{Store: l.store, Log: slog.New(slog.NewTextHandler(&written, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err := s.Fold(t.Context(), l.job(5, completer(extract))); err != nil {
		t.Fatal(err)
	}
	text := written.String()
	if strings.Contains(text, "ITEM") || strings.Contains(text, "session") || !strings.Contains(text, "reason=done") {
		t.Errorf("logged %s", text)
	}
}
