package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"mnemo/memory"
)

// held is a store whose writer is busy until release is called, so that what is
// queued meanwhile goes into one batch.
func held(t *testing.T, opts Options) (s *Store, release func()) {
	t.Helper()
	opts.Path = filepath.Join(t.TempDir(), "a.db")
	s = opened(t, opts)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	busy, free := make(chan struct{}), make(chan struct{})
	j := &job{done: make(chan error, 1), do: func(*writer) error {
		close(busy)
		<-free
		return nil
	}}
	if err := s.enqueue(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	<-busy
	return s, func() { close(free) }
}

// queue queues a job for the held writer.
func queue(t *testing.T, s *Store, do func(w *writer) error) *job {
	t.Helper()
	j := &job{do: do, done: make(chan error, 1)}
	if err := s.enqueue(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

// adding is the job of Append.
func adding(t *testing.T, s *Store, k memory.Key, name string, seq *int64) func(w *writer) error {
	t.Helper()
	turn := exchange(t, name)
	a := appending{key: k, turn: &turn, text: string(memory.EncodeTurn(&turn)), limit: s.opts.MaxSessionBytes, now: 1}
	a.added.Add(&turn)
	return func(w *writer) error {
		err := w.append(&a)
		*seq = a.head.Seq
		return err
	}
}

func TestWriter_commits_what_is_queued_in_one_transaction(t *testing.T) {
	s, release := held(t, Options{})
	var seqs [10]int64
	var jobs []*job
	for i := range seqs {
		jobs = append(jobs, queue(t, s, adding(t, s, key, fmt.Sprint(i), &seqs[i])))
	}
	seen := int64(-1)
	last := queue(t, s, func(*writer) error { // the last of the batch: nothing is committed yet
		got, err := s.Load(t.Context(), key, memory.Need{})
		seen = got.Seq
		return err
	})
	release()
	for i, j := range jobs {
		if err := <-j.done; err != nil || seqs[i] != int64(i+1) {
			t.Errorf("turn %d got seq %d, %v", i, seqs[i], err)
		}
	}
	if err := <-last.done; err != nil || seen != 0 {
		t.Errorf("%d turns were committed before the batch was, %v", seen, err)
	}
}

func TestWriter_lets_a_bad_turn_fail_alone(t *testing.T) {
	s, release := held(t, Options{})
	bad := errors.New("bad turn")
	var seqs [9]int64
	jobs := make([]*job, len(seqs))
	for i := range seqs {
		add := adding(t, s, key, fmt.Sprint(i), &seqs[i])
		jobs[i] = queue(t, s, func(w *writer) error {
			if err := add(w); err != nil || i%4 != 2 {
				return err
			}
			return bad // after it wrote
		})
	}
	release()
	for i, j := range jobs {
		if err := <-j.done; (i%4 == 2) != errors.Is(err, bad) || (i%4 != 2 && err != nil) {
			t.Errorf("job %d: %v", i, err)
		}
	}
	turns, err := s.Turns(t.Context(), key, 0, 100)
	if err != nil || len(turns) != 7 {
		t.Fatalf("%d turns, %v", len(turns), err)
	}
	for i, want := range []int{0, 1, 3, 4, 5, 7, 8} {
		if turns[i].Seq != int64(i+1) || turns[i].Messages[0].Hash != exchange(t, fmt.Sprint(want)).Messages[0].Hash {
			t.Errorf("turn %d is %s, want %d", i+1, turns[i].Messages[0].Raw, want)
		}
	}
}

func TestWriter_does_not_begin_what_nobody_waits_for(t *testing.T) {
	s, release := held(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := s.Append(ctx, key, exchange(t, "x")); !errors.Is(err, context.Canceled) {
				t.Errorf("append: %v", err)
			}
		})
	}
	cancel()
	wg.Wait() // they do not wait for the writer
	release()
	if seq, err := s.Append(t.Context(), key, exchange(t, "y")); err != nil || seq != 1 {
		t.Fatalf("seq %d, %v", seq, err)
	}
}

func TestWriter_makes_callers_wait_when_its_queue_is_full(t *testing.T) {
	s, release := held(t, Options{})
	for range queued {
		queue(t, s, func(*writer) error { return nil })
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Append(ctx, key, exchange(t, "x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	release()
	if seq, err := s.Append(t.Context(), key, exchange(t, "y")); err != nil || seq != 1 {
		t.Fatalf("seq %d, %v", seq, err)
	}
}

func TestWriter_finishes_its_queue_before_it_is_closed(t *testing.T) {
	s, release := held(t, Options{})
	var seqs [300]int64 // more than a batch
	var jobs []*job
	for i := range seqs {
		jobs = append(jobs, queue(t, s, adding(t, s, key, fmt.Sprint(i), &seqs[i])))
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	for i, j := range jobs {
		if err := <-j.done; err != nil || seqs[i] != int64(i+1) {
			t.Errorf("turn %d got seq %d, %v", i, seqs[i], err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), key, memory.Need{}); !errors.Is(err, ErrClosed) {
		t.Errorf("load: %v", err)
	}
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
}

func TestWriter_waits_for_another_process_while_readers_go_on(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := opened(t, Options{Path: path})
	defer s.Close()
	if _, err := s.Append(t.Context(), key, exchange(t, "x")); err != nil {
		t.Fatal(err)
	}
	other, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := s.Append(impatient, key, exchange(t, "given up")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	waiting := make(chan error)
	go func() {
		_, err := s.Append(t.Context(), key, exchange(t, "y"))
		waiting <- err
	}()
	if got, err := s.Load(t.Context(), key, memory.Need{Messages: 1}); err != nil || got.Seq != 1 {
		t.Errorf("load: seq %d, %v", got.Seq, err)
	}
	if err := sqlitex.ExecuteTransient(other, "COMMIT", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Fatalf("append: %v", err)
	}
	if got, err := s.Load(t.Context(), key, memory.Need{Messages: 1}); err != nil || got.Seq != 2 {
		t.Errorf("load: seq %d, %v", got.Seq, err)
	}
}
