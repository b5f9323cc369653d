package sqlitestore

import (
	"errors"
	"time"

	"mnemo/memory"
)

const (
	// batched bounds the jobs that share a transaction.
	batched = 256
	// siblings is how many jobs the last transaction must have had for the next one
	// to wait for more, and delay how long it does.
	siblings = 4
	delay    = 500 * time.Microsecond
)

// Private

// serve does the jobs of the queue until it is closed. Those that came while the
// file was locked or the last transaction was synced share the next one.
func (w *writer) serve(queue <-chan *job) {
	for first := range queue {
		jobs := w.gather(queue, []*job{first})
		err := run(w.begin)
		jobs = takeAll(queue, jobs)
		w.crowd = len(jobs)
		w.finish(jobs, err)
		w.erase()
	}
}

// gather waits a moment for more jobs if the last transaction had many: a sync
// costs as much for one turn as for thirty, and where many clients are at work
// the next jobs are on their way. (PostgreSQL calls these commit_delay and
// commit_siblings.) A client that is alone never waits.
func (w *writer) gather(queue <-chan *job, jobs []*job) []*job {
	if w.crowd < siblings {
		return jobs
	}
	moment := time.NewTimer(delay)
	defer moment.Stop()
	for len(jobs) < w.crowd {
		select {
		case j, open := <-queue:
			if !open {
				return jobs
			}
			jobs = append(jobs, j)
		case <-moment.C:
			return jobs
		}
	}
	return jobs
}

// takeAll adds the jobs that are there.
func takeAll(queue <-chan *job, jobs []*job) []*job {
	for len(jobs) < batched {
		select {
		case j, open := <-queue:
			if !open {
				return jobs
			}
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// finish does jobs in the transaction that was begun, unless that failed. If one
// spoils it, each of them gets its own.
func (w *writer) finish(jobs []*job, beginErr error) {
	live := jobs[:0]
	for _, j := range jobs {
		if j.taken.CompareAndSwap(false, true) {
			live = append(live, j)
		}
	}
	errs := make([]error, len(live))
	err := beginErr
	if err == nil {
		err = w.transact(live, errs)
	}
	for i, j := range live {
		switch {
		case err == nil:
			j.done <- errs[i]
		case beginErr == nil && len(live) > 1:
			j.done <- w.alone(j)
		default:
			j.done <- err
		}
	}
}

// alone does one job in a transaction of its own.
func (w *writer) alone(j *job) error {
	if err := run(w.begin); err != nil {
		return err
	}
	var errs [1]error
	if err := w.transact([]*job{j}, errs[:]); err != nil {
		return err
	}
	return errs[0]
}

// transact does the jobs and commits. A refusal is the result of its job alone; any
// other error rolls everything back.
func (w *writer) transact(jobs []*job, errs []error) error {
	for i, j := range jobs {
		errs[i] = j.do(w)
		if errs[i] != nil && !refused(errs[i]) {
			return w.undo(errs[i])
		}
	}
	if err := run(w.commit); err != nil {
		return w.undo(err)
	}
	return nil
}

// refused reports whether a job found, before it changed anything, that it must not
// be done.
func refused(err error) bool {
	return errors.Is(err, memory.ErrSessionFull) || errors.Is(err, memory.ErrConflict) ||
		errors.Is(err, memory.ErrNotFound) || errors.Is(err, memory.ErrExists)
}

// undo rolls back, unless SQLite did so by itself, and returns the cause.
func (w *writer) undo(cause error) error {
	if w.conn.AutocommitEnabled() {
		return cause
	}
	return errors.Join(cause, run(w.rollback))
}
