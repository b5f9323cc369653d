package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Private

var errAnswer = errors.New("the counter answered something else than it was asked")

// A batch is what goes with one exchange: first, as one claim, the accounts that changed, then the
// calls that wait.
type batch struct {
	told   []*account
	waits  []*wait
	claims []Claim
}

// exchange tells the Counter what has changed and has it decide on the calls that wait.
func (s *share) exchange(ctx context.Context) (more bool, err error) {
	b := s.budgets
	b.mu.Lock()
	batch := s.collect()
	if len(batch.claims) == 0 && !s.stats.Away {
		b.mu.Unlock()
		return false, nil
	}
	s.since = time.Now()
	b.mu.Unlock()

	answers, err := s.ask(ctx, batch.claims)

	b.mu.Lock()
	s.since = time.Time{}
	var reached []mark
	if now := b.now(); err != nil {
		reached = s.failed(batch, err)
	} else {
		reached = s.take(batch, answers, now)
	}
	more = len(s.dirty)+len(s.waiting) > 0
	b.mu.Unlock()
	for _, w := range batch.waits {
		close(w.done)
	}
	b.announce(reached)
	return more, err
}

func (s *share) ask(ctx context.Context, claims []Claim) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	answers, err := s.counter.Exchange(ctx, claims)
	if err != nil {
		return nil, err
	}
	fits := len(answers) == len(claims)
	for i := 0; fits && i < len(claims); i++ {
		fits = len(answers[i].Others) == len(claims[i].Entries)
		for j := 0; fits && j < len(claims[i].Entries); j++ {
			fits = len(answers[i].Others[j].Mine) == len(claims[i].Entries[j].Marks)
		}
	}
	if !fits {
		return nil, errAnswer
	}
	return answers, nil
}

func (s *share) collect() (b batch) {
	if n := min(len(s.dirty), batchEntries); n > 0 {
		b.told = slices.Clone(s.dirty[:n])
		s.dirty = slices.Delete(s.dirty, 0, n)
		entries := make([]Entry, n)
		for i, a := range b.told {
			a.link.dirty = false
			entries[i] = s.entry(a)
		}
		b.claims = append(b.claims, Claim{Entries: entries})
	}
	n := min(len(s.waiting), batchCalls)
	for _, w := range s.waiting[:n] {
		if w.left {
			continue
		}
		entries := make([]Entry, len(w.accounts))
		for i, a := range w.accounts {
			entries[i] = Entry{
				Account: a.link.account, Writer: a.link.writer, Spent: a.spent, Reserved: Kept, Lease: s.lease, Until: a.until,
				Estimate: w.estimate.in(a.meter.unit), Limit: a.meter.limit,
			}
		}
		b.waits = append(b.waits, w)
		b.claims = append(b.claims, Claim{Entries: entries})
	}
	s.waiting = slices.Delete(s.waiting, 0, n)
	return b
}

// entry is the whole of what this replica has in an account.
func (s *share) entry(a *account) Entry {
	e := Entry{
		Account: a.link.account, Writer: a.link.writer,
		Spent: a.spent, Reserved: a.reserved, Lease: s.lease, Until: a.until,
	}
	for _, m := range a.link.marks {
		e.Marks = append(e.Marks, m.name)
	}
	return e
}

// failed has all told again, and tells of crossings without the Counter.
func (s *share) failed(b batch, err error) (reached []mark) {
	if !s.stats.Away && !s.closed {
		s.budgets.log.Warn("the shared counter of budgets cannot be reached: each replica counts for itself until it can",
			slog.Any("error", err))
	}
	s.stats.Away = true
	for _, a := range b.told {
		for i := range a.link.marks {
			if m := &a.link.marks[i]; !m.announced {
				m.announced = true
				reached = append(reached, *m)
			}
		}
		s.touch(a)
	}
	return reached
}

// take takes the answers over, in the order in which the Counter decided.
func (s *share) take(b batch, answers []Answer, now time.Time) (reached []mark) {
	s.back(now)
	if len(b.told) > 0 {
		for i, others := range answers[0].Others {
			a := b.told[i]
			for j, mine := range others.Mine {
				if m := a.link.marks[j]; mine && !m.announced {
					reached = append(reached, m)
				}
			}
			a.link.marks = slices.Delete(a.link.marks, 0, len(others.Mine))
			s.learn(a, others, now)
			s.budgets.forgetEmpty(a)
		}
		answers = answers[1:]
	}
	for i, w := range b.waits {
		for j, others := range answers[i].Others {
			s.learn(w.accounts[j], others, now)
		}
		if !w.left { // else it has decided, and its accounts are to be told
			w.answered = true
			s.rule(w, answers[i].Admitted)
		}
	}
	return reached
}

// rule makes the Counter's answer a verdict. What was settled, or reloaded, after the question counts
// as well; then the Counter is told what came of it.
func (s *share) rule(w *wait, admitted bool) {
	if admitted {
		w.verdict = verdict(w.accounts)
	} else {
		w.verdict = refusal(w.accounts)
	}
	blocked := w.verdict.Action == Block
	if !blocked {
		s.hold(w.Reservation)
	}
	if blocked == admitted {
		for _, a := range w.accounts {
			s.touch(a)
		}
	}
}

func (s *share) learn(a *account, others Others, now time.Time) {
	a.othersSpent = min(max(others.Spent, 0), MaxAmount)
	a.othersReserved = min(max(others.Reserved, 0), MaxAmount)
	if marks := a.crossings(now); len(marks) > 0 {
		a.link.marks = append(a.link.marks, marks...)
		s.touch(a)
	}
}

// back has all told that a Counter may have lost while it was away.
func (s *share) back(now time.Time) {
	if !s.stats.Away {
		return
	}
	s.stats.Away = false
	s.budgets.log.Info("the shared counter of budgets can be reached again", slog.Int64("decided_alone", s.stats.Alone))
	for _, a := range s.budgets.running(now) {
		s.touch(a)
	}
	for a := range s.open {
		s.touch(a)
	}
}

// leave makes the parts of this replica everybody's.
func (s *share) leave(ctx context.Context) error {
	s.budgets.mu.Lock()
	var entries []Entry
	for _, a := range s.budgets.running(s.budgets.now()) {
		e := s.entry(a)
		e.Leave, e.Marks = true, nil
		entries = append(entries, e)
	}
	s.budgets.mu.Unlock()
	for some := range slices.Chunk(entries, batchEntries) {
		if _, err := s.ask(ctx, []Claim{{Entries: some}}); err != nil {
			return fmt.Errorf("leave the shared counter of budgets: %w", err)
		}
	}
	return nil
}
