package budget

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"
)

const (
	// The bounds of one exchange, and of the calls that wait for one.
	batchEntries = 128
	batchCalls   = 128
	maxWaiting   = 4096

	// exchangeTimeout bounds one exchange. Calls wait less.
	exchangeTimeout = time.Second

	// The pauses between attempts to reach a Counter that is away.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second

	// beats is how often in a lease open reservations are told again.
	beats = 3

	replicaLetters = 12 // 60 random bits
)

// Stats counts what is told of sharing. It is all 0 without a Counter.
type Stats struct {
	Away  bool  // whether the Counter is
	Alone int64 // calls on which this replica decided by what it knew
	Lost  int64 // changes that were not told because too many waited
}

// Stats returns the counts since New.
func (b *Budgets) Stats() Stats {
	if b.share == nil {
		return Stats{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.share.stats
}

// Private

// A share tells a Counter what this replica spends. One goroutine does so, one exchange after the
// other; what comes meanwhile goes with the next.
type share struct {
	budgets  *Budgets
	counter  Counter
	deadline time.Duration
	lease    time.Duration
	replica  string

	wake chan struct{} // something is to be told
	stop chan struct{}
	done chan struct{}

	// Guarded by Budgets.mu.
	writers int64
	waiting []*wait
	dirty   []*account            // their parts changed
	open    map[*account]struct{} // calls under way reserve of them
	since   time.Time             // when the exchange under way began; 0: there is none
	closed  bool
	stats   Stats
}

// A wait is a call that waits for the Counter's answer.
type wait struct {
	*Reservation
	done     chan struct{} // closed after the exchange
	answered bool
	left     bool // it does not wait any more
	verdict  Verdict
}

func newShare(b *Budgets, opts Options) *share {
	s := &share{
		budgets: b, counter: opts.Counter, replica: rand.Text()[:replicaLetters],
		deadline: cmp.Or(opts.Deadline, DefaultDeadline), lease: cmp.Or(opts.Lease, DefaultLease),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		open: make(map[*account]struct{}),
	}
	go s.run()
	return s
}

// newLink gives every account a writer of its own: one that was forgotten and begins again must not
// count down.
func (s *share) newLink(a *account) *link {
	s.writers++
	return &link{account: a.id(), writer: s.replica + "." + strconv.FormatInt(s.writers, 36)}
}

// decide asks the Counter whether a call is admitted. Budgets.mu is held, but not while it waits.
func (s *share) decide(ctx context.Context, r *Reservation) Verdict {
	late := !s.since.IsZero() && time.Since(s.since) > s.deadline
	if s.stats.Away || s.closed || late || len(s.waiting) >= maxWaiting {
		return s.alone(r)
	}
	w := &wait{Reservation: r, done: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.nudge()
	s.budgets.mu.Unlock()
	timer := time.NewTimer(s.deadline)
	select {
	case <-w.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	timer.Stop()
	s.budgets.mu.Lock()
	if !w.answered {
		w.left = true
		return s.alone(r)
	}
	return w.verdict
}

// alone decides by what this replica knows. The Counter may have reserved for the call, so it is told
// in any case.
func (s *share) alone(r *Reservation) Verdict {
	s.stats.Alone++
	v := verdict(r.accounts)
	if v.Action != Block {
		s.hold(r)
	}
	for _, a := range r.accounts {
		s.touch(a)
	}
	return v
}

func (s *share) hold(r *Reservation) {
	r.hold()
	for _, a := range r.accounts {
		if a.reserved > 0 {
			s.open[a] = struct{}{}
		}
	}
}

// changed looks at what this replica or others did to an account.
func (s *share) changed(a *account, now time.Time) {
	if a.reserved == 0 {
		delete(s.open, a)
	}
	a.link.marks = append(a.link.marks, a.crossings(now)...)
	s.touch(a)
}

// touch has an account told.
func (s *share) touch(a *account) {
	switch {
	case a.link.dirty:
	case len(s.dirty) >= s.budgets.bound:
		s.stats.Lost++ // until it changes again
	default:
		a.link.dirty = true
		s.dirty = append(s.dirty, a)
		s.nudge()
	}
}

func (s *share) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *share) run() {
	defer close(s.done)
	beat := time.NewTicker(s.lease / beats)
	defer beat.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-beat.C:
			s.repeat()
		}
		if !s.catchUp(beat.C) {
			return
		}
	}
}

// catchUp exchanges until nothing is left to be told, however long the Counter is away. It reports
// false if it was stopped.
func (s *share) catchUp(beat <-chan time.Time) bool {
	pause := firstPause
	for more := true; more; {
		var err error
		if more, err = s.exchange(context.Background()); err == nil {
			pause = firstPause
			select {
			case <-s.stop:
				return false
			case <-beat:
				s.repeat()
			default:
			}
			continue
		}
		timer := time.NewTimer(pause/2 + mathrand.N(pause/2))
		select {
		case <-s.stop:
			timer.Stop()
			return false
		case <-timer.C:
		}
		pause, more = min(2*pause, lastPause), true
	}
	return true
}

// repeat tells the reservations of calls under way again, before their lease ends.
func (s *share) repeat() {
	s.budgets.mu.Lock()
	defer s.budgets.mu.Unlock()
	for a := range s.open {
		s.touch(a)
	}
}

// close tells what is left, and that this replica will not come again.
func (s *share) close(ctx context.Context) error {
	s.budgets.mu.Lock()
	closed := s.closed
	s.closed = true
	s.budgets.mu.Unlock()
	if closed {
		return nil
	}
	close(s.stop)
	select {
	case <-s.done:
	case <-ctx.Done(): // the exchange under way ends by itself
		return fmt.Errorf("tell the last sums of budgets: %w", ctx.Err())
	}
	for more := true; more; {
		var err error
		if more, err = s.exchange(ctx); err != nil {
			return fmt.Errorf("tell the last sums of budgets: %w", err)
		}
	}
	return s.leave(ctx)
}
